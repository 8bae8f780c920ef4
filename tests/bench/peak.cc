#include "tests/bench/peak.h"

#include <algorithm>

#include "tests/bench/measure.h"

namespace haq::bench {
namespace {

double BestGmacs(int64_t (*rounds)(int64_t)) {
  constexpr int64_t kRounds = 1'000'000;
  double best = 0;
  for (int i = 0; i < 12; ++i) {
    const double start = ThreadSeconds();
    const int64_t macs = rounds(kRounds);
    const double seconds = ThreadSeconds() - start;
    best = std::max(best, static_cast<double>(macs * kRounds) / seconds * 1e-9);
  }
  return best;
}

}  // namespace

Peak MeasurePeak(std::string_view kernel_path) {
  if (kernel_path == "avx512vnni") return {"vpdpbusd 512", BestGmacs(&RoundsAvx512Vnni)};
  if (kernel_path == "avx2") return {"vpmaddwd 256", BestGmacs(&RoundsAvx2)};
  return {};
}

}  // namespace haq::bench
