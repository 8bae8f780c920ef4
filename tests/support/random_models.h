// Whole networks with random weights, for tests and benchmarks.
#pragma once

#include <cstdint>

#include "core/artifact/model.h"

namespace haq::test {

// The shape of MobileNetV2 (width 1.0): 0.3 G multiply-adds at 224 x 224.
artifact::Model MobileNetV2Like(int32_t image_side = 224, int32_t classes = 1000,
                                uint64_t seed = 1);

// Every operator at least once, small enough to run thousands of times.
artifact::Model EveryOperator(uint64_t seed = 1);

// The same of the operators that 16-bit tensors have, with both widths at their inputs and outputs.
artifact::Model EveryWideOperator(uint64_t seed = 1);

// A network of random structure: chains, branches that meet in additions and concatenations,
// residuals, and every kind of window, over an image of random size; in every fourth some tensors
// have 16 bits.
artifact::Model RandomNetwork(uint64_t seed);

}  // namespace haq::test
