// What a list of latencies says.
#pragma once

#include <cstdint>
#include <vector>

namespace haq::client::load {

// Seconds. Percentiles are times that were measured: the least that is not below that share of all
// (nearest rank). All zero when there were none.
struct Summary {
  int64_t count = 0;
  double mean = 0, min = 0, p50 = 0, p90 = 0, p95 = 0, p99 = 0, p999 = 0, max = 0;
};

Summary Summarize(std::vector<double> seconds);

}  // namespace haq::client::load
