// A second evaluation of quantized models, with nothing of the runtime in it: every tensor has
// memory of its own and every operator is its definition.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/artifact/model.h"

namespace haq::test {

// The stored bytes of every tensor for one sample.
std::vector<std::vector<uint8_t>> EvaluateNaively(const artifact::Model& model,
                                                  std::span<const uint8_t> input);

}  // namespace haq::test
