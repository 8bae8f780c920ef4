// The submitted file as a graph, whatever its format.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/ir/given_quantization.h"
#include "core/ir/graph.h"

namespace haq::pipeline {

// What a job says that got a model which was quantized elsewhere.
inline const std::string kGivenWarning =
    "the model is quantized already: its scales and zero points are taken as they are; method, "
    "scheme "
    "and ranges are those of tensors that it does not speak of, and nothing is corrected";

// `given` gets what a model that was quantized elsewhere says. Fails as core/import does;
// kInvalidArgument also for bytes that are no model.
Result<ir::Graph> ImportModel(std::span<const uint8_t> bytes,
                              const std::vector<int64_t>& input_shape,
                              ir::GivenQuantization& given);

}  // namespace haq::pipeline
