#include <cmath>
#include <limits>

#include "core/artifact/model.h"
#include "core/artifact/verify_ops.h"

namespace haq::artifact {
namespace {

Status CheckLimit(std::string_view what, uint64_t value, uint64_t limit) {
  if (value <= limit) return {};
  return ResourceExhausted("{}: {} is over the limit of {}", what, value, limit);
}

Status VerifyTensor(const Tensor& tensor, const ArtifactLimits& limits) {
  HAQ_RETURN_IF_ERROR(CheckLimit("length of the name", tensor.name.size(), limits.name_bytes));
  HAQ_RETURN_IF_ERROR(CheckLimit("rank", tensor.shape.size(), limits.rank));
  if (tensor.type != DataType::kUint8 && tensor.type != DataType::kUint16) {
    return Unsupported("data type {} is not known", static_cast<int>(tensor.type));
  }
  if (tensor.shape.empty()) return DataLoss("the shape is empty");
  int64_t elements = 1;
  for (const int32_t dimension : tensor.shape) {
    if (dimension < 1) return DataLoss("dimension {} of the shape is not positive", dimension);
    // Below 2^31 times at most 2^31, so this cannot overflow before it is bounded.
    elements *= dimension;
    if (elements > limits.tensor_elements || elements > std::numeric_limits<int32_t>::max()) {
      return ResourceExhausted("more than {} elements a sample", limits.tensor_elements);
    }
  }
  if (!(std::isfinite(tensor.scale) && tensor.scale > 0)) {
    return DataLoss("scale {} is not positive and finite", tensor.scale);
  }
  const int32_t last_level = LastLevel(tensor.type);
  if (tensor.zero_point < 0 || tensor.zero_point > last_level) {
    return DataLoss("zero point {} is outside [0, {}]", tensor.zero_point, last_level);
  }
  return {};
}

Status VerifyTensors(const Model& model, const ArtifactLimits& limits) {
  HAQ_RETURN_IF_ERROR(CheckLimit("tensors", model.tensors.size(), limits.tensors));
  int64_t total = 0;
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    const Tensor& tensor = model.tensors[i];
    HAQ_RETURN_IF_ERROR(
        VerifyTensor(tensor, limits).WithContext(fmt::format("tensor {} \"{}\"", i, tensor.name)));
    total += tensor.ElementCount();
    if (total > limits.total_elements) {
      return ResourceExhausted("all tensors together have more than {} elements a sample",
                               limits.total_elements);
    }
  }
  return {};
}

Status VerifyInput(const Model& model) {
  const auto count = static_cast<int32_t>(model.tensors.size());
  if (model.input < 0 || model.input >= count || model.output < 0 || model.output >= count) {
    return DataLoss("input {} or output {} is not one of the {} tensors", model.input, model.output,
                    count);
  }
  const Tensor& input = model.tensors[model.input];
  const std::vector<int64_t>& user = model.input_shape;
  std::vector<int64_t> stored = user;
  if (user.size() == 3) stored = {user[1], user[2], user[0]};
  if (stored != std::vector<int64_t>(input.shape.begin(), input.shape.end())) {
    return DataLoss("input_shape does not agree with the shape of the input tensor");
  }
  return {};
}

// Which tensors have a value so far.
class Produced {
 public:
  explicit Produced(const Model& model) : produced_(model.tensors.size(), false) {
    produced_[model.input] = true;
  }
  Status Run(const Layer& layer) {
    for (const int32_t input : layer.inputs) {
      if (!Contains(input)) return DataLoss("input {} is not a tensor", input);
      if (!produced_[input]) return DataLoss("tensor {} is read before it is produced", input);
    }
    if (!Contains(layer.output)) return DataLoss("output {} is not a tensor", layer.output);
    if (produced_[layer.output]) return DataLoss("tensor {} is produced twice", layer.output);
    produced_[layer.output] = true;
    return {};
  }
  Status CheckAll() const {
    for (size_t i = 0; i < produced_.size(); ++i) {
      if (!produced_[i]) return DataLoss("tensor {} is never produced", i);
    }
    return {};
  }

 private:
  bool Contains(int32_t tensor) const {
    return tensor >= 0 && tensor < static_cast<int64_t>(produced_.size());
  }
  std::vector<bool> produced_;
};

bool IsWide(const Op& op) {
  return std::holds_alternative<WideConv2d>(op) || std::holds_alternative<WideLinear>(op) ||
         std::holds_alternative<WideAdd>(op) || std::holds_alternative<WideAvgPool2d>(op);
}

Status VerifyCertificate(const Model& model, const Layer& layer) {
  if (!IsWide(layer.op) && (layer.acc_min < std::numeric_limits<int32_t>::min() ||
                            layer.acc_max > std::numeric_limits<int32_t>::max())) {
    return DataLoss("the certificate [{}, {}] of the accumulator leaves int32", layer.acc_min,
                    layer.acc_max);
  }
  const AccumulatorBounds bounds = BoundAccumulator(model, layer);
  if (bounds.min < layer.acc_min || bounds.max > layer.acc_max) {
    return DataLoss("the accumulator reaches [{}, {}], which its certificate [{}, {}] denies",
                    bounds.min, bounds.max, layer.acc_min, layer.acc_max);
  }
  return {};
}

Status VerifyLayer(const Model& model, const Layer& layer, const ArtifactLimits& limits,
                   Produced& produced) {
  HAQ_RETURN_IF_ERROR(CheckLimit("length of the name", layer.name.size(), limits.name_bytes));
  HAQ_RETURN_IF_ERROR(CheckLimit("inputs", layer.inputs.size(), limits.layer_inputs));
  HAQ_RETURN_IF_ERROR(produced.Run(layer));
  HAQ_RETURN_IF_ERROR(internal::VerifyOp(model, layer));
  return VerifyCertificate(model, layer);
}

Status VerifyTexts(const Model& model, const ArtifactLimits& limits) {
  HAQ_RETURN_IF_ERROR(
      CheckLimit("bytes of preprocess_json", model.preprocess_json.size(), limits.json_bytes));
  HAQ_RETURN_IF_ERROR(
      CheckLimit("bytes of metadata_json", model.metadata_json.size(), limits.json_bytes));
  HAQ_RETURN_IF_ERROR(CheckLimit("class names", model.class_names.size(), limits.classes));
  HAQ_RETURN_IF_ERROR(CheckLimit("golden inputs", model.golden.size(), limits.golden));
  for (const std::string& name : model.class_names) {
    HAQ_RETURN_IF_ERROR(CheckLimit("length of a class name", name.size(), limits.name_bytes));
  }
  return CheckLimit("rank of input_shape", model.input_shape.size(), limits.rank);
}

}  // namespace

Status Verify(const Model& model, const ArtifactLimits& limits) {
  HAQ_RETURN_IF_ERROR(VerifyTexts(model, limits));
  HAQ_RETURN_IF_ERROR(VerifyTensors(model, limits));
  HAQ_RETURN_IF_ERROR(VerifyInput(model));
  HAQ_RETURN_IF_ERROR(CheckLimit("layers", model.layers.size(), limits.layers));
  Produced produced(model);
  for (size_t i = 0; i < model.layers.size(); ++i) {
    const Layer& layer = model.layers[i];
    HAQ_RETURN_IF_ERROR(
        VerifyLayer(model, layer, limits, produced)
            .WithContext(fmt::format("layer {} \"{}\" ({})", i, layer.name, OpName(layer.op))));
  }
  return produced.CheckAll();
}

}  // namespace haq::artifact
