// The submitted file as a graph, whatever its format.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "core/ir/given_quantization.h"
#include "core/ir/graph.h"

namespace haq::pipeline {

// `given` gets what a model that was quantized elsewhere says. Fails as core/import does;
// kInvalidArgument also for bytes that are no model.
Result<ir::Graph> ImportModel(std::span<const uint8_t> bytes,
                              const std::vector<int64_t>& input_shape,
                              ir::GivenQuantization& given);

}  // namespace haq::pipeline
