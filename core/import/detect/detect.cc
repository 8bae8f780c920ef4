#include "core/import/detect/detect.h"

#include <unordered_set>

#include "core/import/detect/wire.h"

namespace haq::import {

namespace {

using Bytes = std::span<const uint8_t>;
using Type = WireField::Type;

// Field numbers of onnx.proto.
constexpr uint32_t kModelIrVersion = 1, kModelGraph = 7;
constexpr uint32_t kGraphInitializer = 5, kGraphInput = 11;
constexpr uint32_t kTensorName = 8;
constexpr uint32_t kValueName = 1, kValueType = 2;
constexpr uint32_t kTypeTensor = 1, kTensorTypeShape = 2, kShapeDimension = 1;
constexpr uint32_t kDimensionValue = 1, kDimensionName = 2;

bool IsZip(Bytes bytes) {
  return bytes.size() >= 4 && bytes[0] == 'P' && bytes[1] == 'K' && bytes[2] == 3 && bytes[3] == 4;
}

// The last field `number` of a message that has bytes; empty when there is none.
Bytes Submessage(Bytes message, uint32_t number) {
  WireReader reader(message);
  Bytes found;
  for (WireField field; reader.Next(field);) {
    if (field.number == number && field.type == Type::kBytes) found = field.bytes;
  }
  return found;
}

struct Input {
  std::string_view name;
  Bytes shape;
};

Input ReadInput(Bytes value) {
  Input input;
  WireReader reader(value);
  for (WireField field; reader.Next(field);) {
    if (field.type != Type::kBytes) continue;
    if (field.number == kValueName) input.name = field.text();
    if (field.number == kValueType) {
      input.shape = Submessage(Submessage(field.bytes, kTypeTensor), kTensorTypeShape);
    }
  }
  return input;
}

// Initializers may be listed among the inputs: until IR version 4 they had to be.
std::vector<Input> InputsOf(Bytes graph) {
  std::unordered_set<std::string_view> initializers;
  std::vector<Input> inputs;
  WireReader reader(graph);
  for (WireField field; reader.Next(field);) {
    if (field.type != Type::kBytes) continue;
    if (field.number == kGraphInitializer) {
      WireReader tensor(field.bytes);
      for (WireField part; tensor.Next(part);) {
        if (part.number == kTensorName && part.type == Type::kBytes) {
          initializers.insert(part.text());
        }
      }
    } else if (field.number == kGraphInput) {
      inputs.push_back(ReadInput(field.bytes));
    }
  }
  std::erase_if(inputs, [&](const Input& input) { return initializers.contains(input.name); });
  return inputs;
}

struct Dimension {
  int64_t value = 0;  // 0: has none
  std::string_view name;
};

std::vector<Dimension> DimensionsOf(Bytes shape) {
  std::vector<Dimension> dimensions;
  WireReader reader(shape);
  for (WireField field; reader.Next(field);) {
    if (field.number != kShapeDimension || field.type != Type::kBytes) continue;
    Dimension dimension;
    WireReader parts(field.bytes);
    for (WireField part; parts.Next(part);) {
      if (part.number == kDimensionValue && part.type == Type::kVarint) {
        dimension.value = static_cast<int64_t>(part.value);
      }
      if (part.number == kDimensionName && part.type == Type::kBytes) dimension.name = part.text();
    }
    dimensions.push_back(dimension);
  }
  return dimensions;
}

}  // namespace

std::string_view FormatName(ModelFormat format) {
  return format == ModelFormat::kTorchScript ? "torchscript" : "onnx";
}

Result<ModelFormat> DetectFormat(Bytes bytes) {
  if (IsZip(bytes)) return ModelFormat::kTorchScript;
  WireReader reader(bytes);
  bool has_version = false, has_graph = false;
  for (WireField field; reader.Next(field);) {
    has_version |= field.number == kModelIrVersion && field.type == Type::kVarint;
    has_graph |= field.number == kModelGraph && field.type == Type::kBytes;
  }
  if (has_version && has_graph && !reader.damaged()) return ModelFormat::kOnnx;
  if (has_version) {
    return InvalidArgument("the file begins like an ONNX model, but it is truncated or damaged: {}",
                           reader.damaged() ? "a field reaches beyond its end" : "it has no graph");
  }
  return InvalidArgument(
      "the file is neither a TorchScript model (a zip archive, which torch.jit.save writes) nor an "
      "ONNX model (a protobuf ModelProto)");
}

Result<std::vector<int64_t>> DeclaredInputShape(Bytes onnx) {
  const std::vector<Input> inputs = InputsOf(Submessage(onnx, kModelGraph));
  if (inputs.size() != 1) {
    return InvalidField("input_shape", "the model has {} inputs, it has to have one",
                        inputs.size());
  }
  const std::vector<Dimension> dimensions = DimensionsOf(inputs[0].shape);
  std::vector<int64_t> shape;
  for (size_t i = 1; i < dimensions.size(); ++i) {
    if (dimensions[i].value < 1) {
      return InvalidField("input_shape",
                          "must be given: dimension {} of the model's input '{}' has no number "
                          "(it is '{}')",
                          i, inputs[0].name.substr(0, 80), dimensions[i].name.substr(0, 80));
    }
    shape.push_back(dimensions[i].value);
  }
  if (shape.empty()) {
    return InvalidField("input_shape", "must be given: the model's input '{}' declares no shape",
                        inputs[0].name.substr(0, 80));
  }
  return shape;
}

}  // namespace haq::import
