#include "tests/bench/paired.h"

#include <algorithm>
#include <ctime>

namespace haq::bench {
namespace {

double SecondsOf(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

Result<std::vector<Times>> RunInTurn(const std::vector<Side>& sides, int rounds) {
  for (const Side& side : sides) HAQ_RETURN_IF_ERROR(side.run().WithContext(side.name));
  std::vector<Times> times(sides.size());
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < sides.size(); ++i) {
      const size_t turn = (i + round) % sides.size();
      const double wall = SecondsOf(CLOCK_MONOTONIC), cpu = SecondsOf(CLOCK_PROCESS_CPUTIME_ID);
      HAQ_RETURN_IF_ERROR(sides[turn].run().WithContext(sides[turn].name));
      times[turn].wall_seconds.push_back(SecondsOf(CLOCK_MONOTONIC) - wall);
      times[turn].cpu_seconds.push_back(SecondsOf(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    }
  }
  return times;
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double MedianRatio(const std::vector<double>& side, const std::vector<double>& base) {
  std::vector<double> ratios;
  for (size_t i = 0; i < side.size(); ++i) ratios.push_back(side[i] / base[i]);
  return Median(std::move(ratios));
}

}  // namespace haq::bench
