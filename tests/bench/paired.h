// Timing several ways to do the same work in one run: the sides take turns, so that whatever else
// the machine does meets all of them, and figures are medians.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace haq::bench {

struct Side {
  std::string name;
  std::function<Status()> run;  // all of the work, once
};

struct Times {
  std::vector<double> wall_seconds, cpu_seconds;  // by round; CPU of the whole process
};

// Every side once unmeasured, then `rounds` times each, every round beginning with another side.
// Stops at the first failure.
Result<std::vector<Times>> RunInTurn(const std::vector<Side>& sides, int rounds);

double Median(std::vector<double> values);  // 0 of none
// Median over the rounds of side / base.
double MedianRatio(const std::vector<double>& side, const std::vector<double>& base);

}  // namespace haq::bench
