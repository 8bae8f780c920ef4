// Convolution, matrix products and batch norm.
#include <algorithm>
#include <cmath>

#include "core/import/onnx/constants.h"
#include "core/import/onnx/operators.h"
#include "core/import/onnx/windows.h"

namespace haq::import::from_onnx {

namespace {

// A weight: a constant of finite floats.
Result<TensorPtr> Weight(const NodeCall& call, size_t input) {
  HAQ_ASSIGN_OR_RETURN(TensorPtr weight, call.ConstantOf(input));
  if (!weight->is_float()) {
    return InvalidArgument("input {} has elements of {}, not of float", input,
                           TypeName(weight->type));
  }
  const auto& values = weight->floats;
  const auto bad =
      std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
  if (bad == values.end()) return weight;
  return InvalidArgument("input {} has {} at position {}", input, *bad, bad - values.begin());
}

// One value for each of `outputs`, or none when the input is absent.
Result<std::vector<float>> Bias(const NodeCall& call, size_t input, int64_t outputs) {
  if (!call.Has(input)) return std::vector<float>{};
  HAQ_ASSIGN_OR_RETURN(const TensorPtr bias, Weight(call, input));
  if (bias->count() == outputs) return bias->floats;
  return InvalidArgument("the bias has {} values for {} outputs", bias->count(), outputs);
}

Status ImportConv(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  HAQ_ASSIGN_OR_RETURN(const TensorPtr weight, Weight(call, 1));
  if (weight->shape.size() != 4) {
    return Unsupported("has a weight of {}; supported are convolutions of images",
                       ir::ShapeToString(weight->shape));
  }
  HAQ_ASSIGN_OR_RETURN(const Windows windows,
                       ReadWindows(call, call.ShapeOf(x), {weight->shape[2], weight->shape[3]}));
  ir::Conv2d conv;
  conv.weight = {weight->shape, weight->floats};
  HAQ_ASSIGN_OR_RETURN(conv.bias, Bias(call, 2, weight->shape[0]));
  conv.stride = windows.stride;
  conv.dilation = windows.dilation;
  conv.padding = {windows.before[0], windows.before[1], windows.after[0], windows.after[1]};
  HAQ_ASSIGN_OR_RETURN(conv.groups, call.Int("group", 1));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(std::move(conv), {x}));
  call.KeepScales(*weight);
  return call.Return(y);
}

Status RefuseConvTranspose(NodeCall&) {
  return Unsupported(
      "transposed convolutions have no integer kernel; use Resize (nearest) and Conv instead");
}

// [I, O] -> [O, I]
ir::Constant Transposed(const Tensor& weight, float factor) {
  const int64_t rows = weight.shape[0], columns = weight.shape[1];
  ir::Constant result{{columns, rows}, std::vector<float>(weight.floats.size())};
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      result.data[c * rows + r] = weight.floats[r * columns + c] * factor;
    }
  }
  return result;
}

// alpha * x * weight + beta * bias, whose rows are all alike.
Status ImportGemm(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  HAQ_ASSIGN_OR_RETURN(const TensorPtr weight, Weight(call, 1));
  HAQ_ASSIGN_OR_RETURN(const float alpha, call.Float("alpha", 1));
  HAQ_ASSIGN_OR_RETURN(const float beta, call.Float("beta", 1));
  HAQ_ASSIGN_OR_RETURN(const int64_t transpose_x, call.Int("transA", 0));
  HAQ_ASSIGN_OR_RETURN(const int64_t transpose_weight, call.Int("transB", 0));
  if (transpose_x != 0) return Unsupported("transposes its first input, which has the batch first");
  if (weight->shape.size() != 2 || call.ShapeOf(x).size() != 2) {
    return InvalidArgument("multiplies {} and {}; both need two dimensions",
                           ir::ShapeToString(call.ShapeOf(x)), ir::ShapeToString(weight->shape));
  }
  ir::Linear linear;
  if (transpose_weight != 0) {
    linear.weight = {weight->shape, weight->floats};
    for (float& value : linear.weight.data) value *= alpha;
  } else {
    linear.weight = Transposed(*weight, alpha);
  }
  const int64_t outputs = linear.weight.shape[0];
  if (call.Has(2)) {
    HAQ_ASSIGN_OR_RETURN(const TensorPtr bias, Weight(call, 2));
    const bool one_row = bias->shape.size() < 2 || bias->shape[bias->shape.size() - 2] == 1;
    if (!one_row) return Unsupported("adds a bias of {}", ir::ShapeToString(bias->shape));
    HAQ_ASSIGN_OR_RETURN(const ir::Shape shape, BroadcastShape(bias->shape, {1, outputs}));
    if (shape != ir::Shape{1, outputs}) {
      return InvalidArgument("adds a bias of {} to {} outputs", ir::ShapeToString(bias->shape),
                             outputs);
    }
    HAQ_ASSIGN_OR_RETURN(const TensorPtr row, Expand(bias, shape, call.limits()));
    for (const float value : row->floats) linear.bias.push_back(value * beta);
  }
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(std::move(linear), {x}));
  call.KeepScales(*weight);
  return call.Return(y);
}

Status ImportMatMul(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  HAQ_ASSIGN_OR_RETURN(const TensorPtr weight, Weight(call, 1));
  if (weight->shape.size() != 2) {
    return Unsupported("multiplies by a constant of {} dimensions, not 2", weight->shape.size());
  }
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(ir::Linear{Transposed(*weight, 1), {}}, {x}));
  call.KeepScales(*weight);
  return call.Return(y);
}

// (x - mean) / sqrt(variance + epsilon) * scale + bias, rounded as the TorchScript importer rounds.
Status ImportBatchNorm(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  HAQ_ASSIGN_OR_RETURN(const int64_t training, call.Int("training_mode", 0));
  HAQ_ASSIGN_OR_RETURN(const int64_t spatial, call.Int("spatial", 1));
  if (training != 0) return Unsupported("is in training mode; export the model for inference");
  if (spatial != 1) return Unsupported("normalizes every position by itself (spatial is 0)");
  // Before opset 14 that is how a model says that it is in training mode, whoever reads them.
  if (call.opset() < 14 && call.OutputCount() > 1) {
    return Unsupported(
        "has statistics among its outputs: training mode; export the model for inference");
  }
  std::array<std::vector<float>, 4> parameters;  // scale, bias, mean, variance
  const int64_t channels = call.ShapeOf(x).size() < 2 ? 0 : call.ShapeOf(x)[1];
  for (size_t i = 0; i < 4; ++i) {
    HAQ_ASSIGN_OR_RETURN(const TensorPtr tensor, Weight(call, i + 1));
    if (tensor->count() != channels) {
      return InvalidArgument("input {} has {} values for {} channels", i + 1, tensor->count(),
                             channels);
    }
    parameters[i] = tensor->floats;
  }
  HAQ_ASSIGN_OR_RETURN(const float epsilon, call.Float("epsilon", 1e-5f));
  const auto& [scales, biases, means, variances] = parameters;
  ir::ChannelAffine affine;
  for (int64_t c = 0; c < channels; ++c) {
    const float scale = scales[c] / std::sqrt(variances[c] + epsilon);
    affine.scale.push_back(scale);
    affine.shift.push_back(biases[c] - means[c] * scale);
  }
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(std::move(affine), {x}));
  return call.Return(y);
}

}  // namespace

ImporterTable LayerImporters() {
  return {{"Conv", ImportConv},
          {"ConvTranspose", RefuseConvTranspose},
          {"Gemm", ImportGemm},
          {"MatMul", ImportMatMul},
          {"BatchNormalization", ImportBatchNorm}};
}

}  // namespace haq::import::from_onnx
