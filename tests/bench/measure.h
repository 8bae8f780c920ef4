// Clocks, and what a list of times says.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace haq::bench {

double WallSeconds();
double ThreadSeconds();  // processor time of the calling thread
int64_t PeakMemoryBytes();
int64_t HeapBytes();  // allocated and not freed
// Of the file's mappings in this process: what is in memory of them.
int64_t MappedBytes(const std::string& path);

struct Times {
  double median = 0, min = 0, p99 = 0;  // seconds
  int64_t runs = 0;
};
Times Summarize(std::vector<double> seconds);

}  // namespace haq::bench
