#include "core/pipeline/timing.h"

#include <time.h>

#include <algorithm>
#include <cstddef>

namespace haq::pipeline {
namespace {

// Enough for a median within some percent.
constexpr int kFewestRounds = 3, kMostRounds = 101;
constexpr double kRoundsMs = 1000;

double ThreadTimeMs() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
}

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

Result<Times> TimeInTurn(std::span<const std::function<Status()>> things, int warm_up) {
  for (int round = 0; round < warm_up; ++round) {
    for (const auto& thing : things) HAQ_RETURN_IF_ERROR(thing());
  }
  std::vector<std::vector<double>> times_ms(things.size());
  Times times;
  double all_ms = 0;
  while (times.rounds < kMostRounds && (times.rounds < kFewestRounds || all_ms < kRoundsMs)) {
    for (size_t i = 0; i < things.size(); ++i) {
      const double start = ThreadTimeMs();
      HAQ_RETURN_IF_ERROR(things[i]());
      times_ms[i].push_back(ThreadTimeMs() - start);
      all_ms += times_ms[i].back();
    }
    ++times.rounds;
  }
  for (const auto& of_thing : times_ms) times.median_ms.push_back(Median(of_thing));
  return times;
}

}  // namespace haq::pipeline
