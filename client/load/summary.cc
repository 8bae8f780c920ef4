#include "client/load/summary.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace haq::client::load {
namespace {

double NearestRank(const std::vector<double>& sorted, double share) {
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::clamp<size_t>(rank, 1, sorted.size()) - 1];
}

}  // namespace

Summary Summarize(std::vector<double> seconds) {
  if (seconds.empty()) return {};
  std::sort(seconds.begin(), seconds.end());
  const double sum = std::accumulate(seconds.begin(), seconds.end(), 0.0);
  return {.count = static_cast<int64_t>(seconds.size()),
          .mean = sum / static_cast<double>(seconds.size()),
          .min = seconds.front(),
          .p50 = NearestRank(seconds, 0.5),
          .p90 = NearestRank(seconds, 0.9),
          .p95 = NearestRank(seconds, 0.95),
          .p99 = NearestRank(seconds, 0.99),
          .p999 = NearestRank(seconds, 0.999),
          .max = seconds.back()};
}

}  // namespace haq::client::load
