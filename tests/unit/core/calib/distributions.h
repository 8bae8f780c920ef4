// Tensors of many shapes of distribution for the tests of this folder.
#pragma once

#include <random>
#include <string>
#include <vector>

namespace haq::calib {

struct NamedValues {
  std::string name;
  std::vector<float> values;
};
inline void PrintTo(const NamedValues& named, std::ostream* out) { *out << named.name; }

// Normal, one-sided, heavy-tailed, bimodal, discrete, with outliers, tiny, huge, constant, ...:
// `count` values each, drawn from `seed`.
std::vector<NamedValues> ManyDistributions(size_t count, uint64_t seed);

}  // namespace haq::calib
