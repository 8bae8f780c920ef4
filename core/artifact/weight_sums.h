// For the sources of this folder.
#pragma once

#include <cstdint>
#include <span>

namespace haq::artifact::internal {

struct WeightSums {
  int64_t negative = 0, positive = 0;  // the sums of the weights of either sign
  int8_t least = 0;                    // of all, and of 0
};
// Looks at every weight of a model each time it is loaded.
WeightSums SumWeights(std::span<const int8_t> weights);

}  // namespace haq::artifact::internal
