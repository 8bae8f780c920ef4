// Convolution, linear and batch norm layers.
#include <ATen/ATen.h>

#include "core/import/torchscript/operators.h"

namespace haq::import {

namespace {

// A weight or bias: ConstantOf without the detour over doubles.
Result<at::Tensor> Parameter(const OpCall& call, std::string_view name) {
  if (call.IsActivation(name)) {
    return Unsupported("'{}' is computed from the input; it has to be a constant", name);
  }
  if (!call.Arg(name).isTensor()) return Unsupported("'{}' is missing", name);
  const at::Tensor& tensor = call.Arg(name).toTensor();
  if (at::isfinite(tensor).all().item<bool>()) return tensor;
  return InvalidArgument("'{}' has values that are NaN or infinite", name);
}

ir::Constant ToConstant(const at::Tensor& tensor) { return {ShapeOf(tensor), ToFloats(tensor)}; }

// bias of none, of one value, or of one per output.
Result<std::vector<float>> Bias(const OpCall& call, std::string_view name, int64_t outputs) {
  if (!call.Has(name)) return std::vector<float>{};
  HAQ_ASSIGN_OR_RETURN(const at::Tensor bias, Parameter(call, name));
  if (bias.numel() != 1 && bias.numel() != outputs) {
    return Unsupported("{} has {} values for {} outputs", name, bias.numel(), outputs);
  }
  return ToFloats(bias.reshape({-1}).expand({outputs}));
}

// Padding as numbers, or "valid", or "same" (an odd one goes to the end, as PyTorch does).
Status SetPadding(const OpCall& call, ir::Conv2d& conv) {
  const c10::IValue& padding = call.Arg("padding");
  if (!padding.isString()) {
    HAQ_ASSIGN_OR_RETURN(const auto pair, call.Pair("padding"));
    conv.padding = {pair[0], pair[1], pair[0], pair[1]};
    return {};
  }
  const std::string& mode = padding.toStringRef();
  if (mode == "valid") return {};
  if (mode != "same") return Unsupported("padding '{}'", mode);
  const int64_t rows = conv.dilation[0] * (conv.weight.shape[2] - 1);
  const int64_t columns = conv.dilation[1] * (conv.weight.shape[3] - 1);
  conv.padding = {rows / 2, columns / 2, rows - rows / 2, columns - columns / 2};
  return {};
}

Status ImportConvolution(OpCall& call) {
  if (call.Bool("transposed", false)) return Unsupported("is transposed");
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("input"));
  HAQ_ASSIGN_OR_RETURN(const at::Tensor weight, Parameter(call, "weight"));
  if (weight.dim() != 4) return Unsupported("has a weight of {} dimensions, not 4", weight.dim());
  ir::Conv2d conv;
  conv.weight = ToConstant(weight);
  HAQ_ASSIGN_OR_RETURN(conv.bias, Bias(call, "bias", weight.size(0)));
  HAQ_ASSIGN_OR_RETURN(conv.stride, call.Pair("stride"));
  HAQ_ASSIGN_OR_RETURN(conv.dilation, call.Pair("dilation"));
  HAQ_RETURN_IF_ERROR(SetPadding(call, conv));
  conv.groups = call.Int("groups");
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(std::move(conv), {x}));
  return call.Return(y);
}

Status EmitLinear(OpCall& call, ir::ValueId x, const at::Tensor& weight, std::vector<float> bias) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y,
                       call.Emit(ir::Linear{ToConstant(weight), std::move(bias)}, {x}));
  return call.Return(y);
}

Status ImportLinear(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("input"));
  HAQ_ASSIGN_OR_RETURN(const at::Tensor weight, Parameter(call, "weight"));
  if (weight.dim() != 2) return Unsupported("has a weight of {} dimensions, not 2", weight.dim());
  HAQ_ASSIGN_OR_RETURN(std::vector<float> bias, Bias(call, "bias", weight.size(0)));
  return EmitLinear(call, x, weight, std::move(bias));
}

// beta * bias + alpha * mat1 * mat2
Status ImportAddmm(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("mat1"));
  HAQ_ASSIGN_OR_RETURN(const at::Tensor weight, Parameter(call, "mat2"));
  HAQ_ASSIGN_OR_RETURN(std::vector<float> bias, Bias(call, "self", weight.size(1)));
  for (float& value : bias) value *= static_cast<float>(call.Number("beta"));
  return EmitLinear(call, x, weight.t() * call.Number("alpha"), std::move(bias));
}

Status ImportMatmul(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("self"));
  const std::string_view other = call.Has("mat2") ? "mat2" : "other";
  HAQ_ASSIGN_OR_RETURN(const at::Tensor weight, Parameter(call, other));
  if (weight.dim() != 2) {
    return Unsupported("multiplies by a constant of {} dimensions, not 2", weight.dim());
  }
  return EmitLinear(call, x, weight.t(), {});
}

// A parameter of batch norm in single precision.
Result<at::Tensor> Statistic(const OpCall& call, std::string_view name) {
  HAQ_ASSIGN_OR_RETURN(const at::Tensor statistic, call.ConstantOf(name));
  return statistic.to(at::kFloat);
}

// (x - mean) / sqrt(variance + eps) * weight + bias, rounded to single precision where PyTorch's
// ONNX exporter does when it folds the layer: a network gives the same weights whichever way it
// comes.
Status ImportBatchNorm(OpCall& call) {
  if (call.Bool("training", false)) {
    return Unsupported("is in training mode; call eval() before saving the model");
  }
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("input"));
  HAQ_ASSIGN_OR_RETURN(const at::Tensor mean, Statistic(call, "running_mean"));
  HAQ_ASSIGN_OR_RETURN(const at::Tensor variance, Statistic(call, "running_var"));
  const at::Tensor deviation = (variance + call.Number("eps")).sqrt();
  at::Tensor scale = deviation.reciprocal();
  if (call.Has("weight")) {
    HAQ_ASSIGN_OR_RETURN(const at::Tensor weight, Statistic(call, "weight"));
    scale = weight / deviation;
  }
  at::Tensor shift = -(mean * scale);
  if (call.Has("bias")) {
    HAQ_ASSIGN_OR_RETURN(const at::Tensor bias, Statistic(call, "bias"));
    shift = bias - mean * scale;
  }
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y,
                       call.Emit(ir::ChannelAffine{ToFloats(scale), ToFloats(shift)}, {x}));
  return call.Return(y);
}

}  // namespace

ImporterTable LayerImporters() {
  return {{"conv2d", ImportConvolution},
          {"convolution", ImportConvolution},
          {"_convolution", ImportConvolution},
          {"linear", ImportLinear},
          {"addmm", ImportAddmm},
          {"matmul", ImportMatmul},
          {"mm", ImportMatmul},
          {"batch_norm", ImportBatchNorm}};
}

}  // namespace haq::import
