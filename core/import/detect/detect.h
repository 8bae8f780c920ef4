// Which kind of model some bytes are, and what can be told of it without the library that reads it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace haq::import {

enum class ModelFormat {
  kTorchScript,  // a zip archive, as torch.jit.save writes
  kOnnx,         // a serialized ModelProto
};
// "torchscript", "onnx": the names that models have in the API.
std::string_view FormatName(ModelFormat format);

// From the bytes alone. ONNX has no signature: a file is one when it is a protobuf message from its
// first to its last byte that has a ModelProto's IR version and graph where they belong.
// kInvalidArgument for everything else, and says when the file looks like a truncated one.
Result<ModelFormat> DetectFormat(std::span<const uint8_t> bytes);

// One sample's shape as an ONNX file declares it: its input's dimensions after the batch.
// kInvalidArgument with the field input_shape when a dimension has no number, or when the model has
// not exactly one input.
Result<std::vector<int64_t>> DeclaredInputShape(std::span<const uint8_t> onnx);

}  // namespace haq::import
