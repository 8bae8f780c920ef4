// Operators that add up products: convolution, linear, per-channel affine, add, mul, average
// pooling.
#include <algorithm>
#include <cmath>
#include <set>

#include "core/lower/builder.h"

namespace haq::lower {
namespace {

// Requantization represents multipliers from 2^-38 on; channels whose weights are next to nothing
// stay above.
constexpr double kSmallestMultiplier = 0x1p-36;
// Weights under this scale are next to nothing: rounding 4,096 of them moves the output by 0.06 of
// a step. Above it, a bias that matters fits the accumulator beside the sum.
constexpr double kSmallestWeightMultiplier = 0x1p-22;

// [O, I, H, W] -> [O, H, W, I]; the stored order of images.
std::vector<float> ToStoredOrder(const std::vector<float>& weight, int64_t o, int64_t i,
                                 int64_t hw) {
  std::vector<float> stored(weight.size());
  for (int64_t row = 0; row < o; ++row) {
    for (int64_t channel = 0; channel < i; ++channel) {
      for (int64_t at = 0; at < hw; ++at) {
        stored[(row * hw + at) * i + channel] = weight[(row * i + channel) * hw + at];
      }
    }
  }
  return stored;
}

}  // namespace

const quant::QuantizedWeights* Builder::ChosenWeights(const ir::Node& node) const {
  const int index = IndexOf(node);
  for (const SumWeights& chosen : options_.chosen_weights) {
    if (chosen.node == index) return &chosen.weights;
  }
  return nullptr;
}

void Builder::AddSumWeights(const ir::Node& node, quant::QuantizedWeights weights) {
  lowered_.sums.push_back(
      {IndexOf(node), static_cast<int32_t>(lowered_.model.layers.size()) - 1, std::move(weights)});
}

Result<Builder::SumLayer> Builder::QuantizeSum(const ir::Node& node,
                                               const std::vector<float>& weight,
                                               const std::vector<float>& bias,
                                               quant::WeightGranularity granularity) {
  const quant::TensorParams& x = ParamsOf(node.inputs[0]);
  const quant::TensorParams& y = ParamsOf(OutputOf(node));
  const auto channels = static_cast<int64_t>(graph_.values[node.output].shape[1]);
  const int64_t per_channel = static_cast<int64_t>(weight.size()) / channels;

  std::vector<double> bias_in_input_steps;
  for (const float value : bias) bias_in_input_steps.push_back(double(value) / x.scale);
  const double smallest_scale = kSmallestWeightMultiplier * y.scale / x.scale;
  const quant::QuantizedWeights* chosen = ChosenWeights(node);
  if (chosen && (chosen->values.size() != weight.size() ||
                 static_cast<int64_t>(chosen->scales.size()) != channels)) {
    return InvalidArgument("{} weights were chosen for {} channels, it has {} and {}",
                           chosen->values.size(), chosen->scales.size(), weight.size(), channels);
  }
  quant::QuantizedWeights quantized =
      chosen ? quant::KeepRepresentable(*chosen, bias_in_input_steps, smallest_scale)
             : quant::QuantizeWeights(weight, channels, granularity, bias_in_input_steps,
                                      smallest_scale);

  const Levels clamp = ClampOf(node);
  std::vector<fixedpoint::SumChannel> sums(channels);
  for (int64_t c = 0; c < channels; ++c) {
    int64_t positive = 0, negative = 0;
    for (int64_t i = c * per_channel; i < (c + 1) * per_channel; ++i) {
      (quantized.values[i] > 0 ? positive : negative) += quantized.values[i];
    }
    sums[c].acc_min = 255 * negative;
    sums[c].acc_max = 255 * positive;
    sums[c].scale = x.scale * quantized.scales[c] / y.scale;
    sums[c].constant = (bias.empty() ? 0.0 : bias_in_input_steps[c] / quantized.scales[c]) -
                       double(x.zero_point) * double(positive + negative);
    sums[c].q_max = clamp.High(c);
  }
  fixedpoint::SumOutput output{y.zero_point, clamp.low};
  const FusedAdd& fused = plan_.fused_add[IndexOf(node)];
  if (fused.exists()) {
    const quant::TensorParams& residual = ParamsOf(fused.residual);
    output.residual = {double(residual.scale) / y.scale, residual.zero_point};
  }
  SumLayer layer;
  auto requantize = fixedpoint::ChooseRequantize(sums, output);
  if (!requantize.ok()) unfusable_add_ = fused.add;
  HAQ_ASSIGN_OR_RETURN(layer.requantize, std::move(requantize));
  layer.weights = std::move(quantized);
  return layer;
}

Status Builder::EmitOp(const ir::Node& node, const ir::Conv2d& op) {
  const ir::Shape& shape = op.weight.shape;  // [O, I / groups, KH, KW]
  HAQ_ASSIGN_OR_RETURN(
      SumLayer sum,
      QuantizeSum(node, ToStoredOrder(op.weight.data, shape[0], shape[1], shape[2] * shape[3]),
                  op.bias, options_.weights));
  artifact::Conv2d conv;
  conv.kernel_h = static_cast<int32_t>(shape[2]);
  conv.kernel_w = static_cast<int32_t>(shape[3]);
  conv.stride_h = static_cast<int32_t>(op.stride[0]);
  conv.stride_w = static_cast<int32_t>(op.stride[1]);
  conv.dilation_h = static_cast<int32_t>(op.dilation[0]);
  conv.dilation_w = static_cast<int32_t>(op.dilation[1]);
  conv.groups = static_cast<int32_t>(op.groups);
  conv.padding = {static_cast<int32_t>(op.padding.top), static_cast<int32_t>(op.padding.left),
                  static_cast<int32_t>(op.padding.bottom), static_cast<int32_t>(op.padding.right)};
  AddConv(node, std::move(conv), sum);
  AddSumWeights(node, std::move(sum.weights));
  return {};
}

void Builder::AddConv(const ir::Node& node, artifact::Conv2d conv, const SumLayer& sum) {
  conv.weight = lowered_.model.Own(sum.weights.values);
  conv.requantize = sum.requantize.tensor;
  conv.residual_multiplier = sum.requantize.residual.multiplier;
  conv.channels = lowered_.model.Own(sum.requantize.channels);
  std::vector<int32_t> inputs = {TensorOf(node.inputs[0])};
  const FusedAdd& fused = plan_.fused_add[IndexOf(node)];
  if (fused.exists()) inputs.push_back(TensorOf(fused.residual));
  const int32_t output = AddOutput(node);
  AddLayer(node, std::move(conv), std::move(inputs), output);
}

ir::ValueId Builder::FlattenedImage(ir::ValueId value, const ir::Node& node) const {
  const int producer = graph_.ProducerOf(value);
  if (producer < 0 || !std::holds_alternative<ir::Reshape>(graph_.nodes[producer].op)) return -1;
  if (graph_.values[value].shape.size() != 2 || graph_.UseCount(value) != 1 ||
      graph_.nodes[&node - graph_.nodes.data()].inputs[0] != value) {
    return -1;
  }
  const ir::ValueId image = graph_.nodes[producer].inputs[0];
  return graph_.values[image].shape.size() == 4 ? image : -1;
}

Status Builder::EmitOp(const ir::Node& node, const ir::Linear& op) {
  if (graph_.values[node.inputs[0]].shape.size() != 2) {
    return Unsupported("a linear layer takes [N, features], not {}",
                       ir::ShapeToString(graph_.values[node.inputs[0]].shape));
  }
  const ir::ValueId image = FlattenedImage(node.inputs[0], node);
  std::vector<float> weight = op.weight.data;
  if (image >= 0) {
    const ir::Shape& shape = graph_.values[image].shape;
    weight = ToStoredOrder(weight, op.weight.shape[0], shape[1], shape[2] * shape[3]);
  }
  HAQ_ASSIGN_OR_RETURN(SumLayer sum, QuantizeSum(node, weight, op.bias, options_.weights));
  artifact::Linear linear;
  linear.weight = lowered_.model.Own(sum.weights.values);
  linear.requantize = sum.requantize.tensor;
  linear.channels = lowered_.model.Own(std::move(sum.requantize.channels));
  const int32_t input = TensorOf(image >= 0 ? image : node.inputs[0]);
  const int32_t output = AddOutput(node);
  AddLayer(node, linear, {input}, output);
  AddSumWeights(node, std::move(sum.weights));
  return {};
}

Status Builder::EmitOp(const ir::Node& node, const ir::ChannelAffine& op) {
  return EmitAffine(node, op.scale, op.shift);
}

// Always one scale per channel: these are not the weights that `weights` is about.
Status Builder::EmitAffine(const ir::Node& node, const std::vector<float>& scale,
                           const std::vector<float>& shift) {
  const ir::Shape& shape = graph_.values[node.inputs[0]].shape;
  const auto channels = static_cast<int32_t>(shape[1]);
  const bool vector = shape.size() == 2;
  if (!vector && shape.size() != 4) {
    return Unsupported("arithmetic per channel takes [N, C] or [N, C, H, W], not {}",
                       ir::ShapeToString(shape));
  }
  HAQ_ASSIGN_OR_RETURN(SumLayer sum,
                       QuantizeSum(node, scale, shift, quant::WeightGranularity::kPerChannel));
  artifact::Conv2d conv;
  conv.groups = channels;
  if (!vector) {
    AddConv(node, std::move(conv), sum);
    return {};
  }
  conv.weight = lowered_.model.Own(std::move(sum.weights.values));
  conv.requantize = sum.requantize.tensor;
  conv.channels = lowered_.model.Own(std::move(sum.requantize.channels));
  const int32_t input = AddHelper(node, "image", artifact::Reshape{}, TensorOf(node.inputs[0]),
                                  {1, 1, channels}, ParamsOf(node.inputs[0]));
  const int32_t sums = AddTensor(node.name + ".sums", {1, 1, channels}, ParamsOf(OutputOf(node)));
  AddLayer(node, conv, {input}, sums);
  const int32_t output = AddOutput(node);
  AddLayer(node, artifact::Reshape{}, {sums}, output);
  return {};
}

Status Builder::EmitOp(const ir::Node& node, const ir::Add&) {
  const quant::TensorParams &a = ParamsOf(node.inputs[0]), &b = ParamsOf(node.inputs[1]);
  const quant::TensorParams& y = ParamsOf(OutputOf(node));
  const Levels clamp = ClampOf(node);
  // A term under 2^-20 of the output's step cannot move it.
  const auto multiplier = [&](const quant::TensorParams& x) {
    return std::max(double(x.scale) / y.scale, 0x1p-20);
  };
  artifact::Add add;
  HAQ_ASSIGN_OR_RETURN(add.requantize, fixedpoint::ChooseAddRequantize(
                                           multiplier(a), a.zero_point, multiplier(b), b.zero_point,
                                           y.zero_point, clamp.low, clamp.high));
  int32_t left = TensorOf(node.inputs[0]), right = TensorOf(node.inputs[1]);
  if (graph_.values[node.inputs[0]].shape != graph_.values[node.inputs[1]].shape) {
    // The runtime broadcasts the second operand.
    const auto count = [&](size_t i) {
      return *ir::ElementCount(graph_.values[node.inputs[i]].shape);
    };
    if (count(0) < count(1)) {
      std::swap(left, right);
      std::swap(add.requantize.multiplier_a, add.requantize.multiplier_b);
    }
  }
  const int32_t output = AddOutput(node);
  AddLayer(node, add, {left, right}, output);
  return {};
}

Status Builder::EmitOp(const ir::Node& node, const ir::Mul&) {
  const quant::TensorParams &a = ParamsOf(node.inputs[0]), &b = ParamsOf(node.inputs[1]);
  const quant::TensorParams& y = ParamsOf(OutputOf(node));
  const Levels clamp = ClampOf(node);
  int64_t low = 0, high = 0;
  for (const int64_t p : {-a.zero_point, 255 - a.zero_point}) {
    for (const int64_t q : {-b.zero_point, 255 - b.zero_point}) {
      low = std::min(low, p * q);
      high = std::max(high, p * q);
    }
  }
  const double multiplier = std::max(double(a.scale) * b.scale / y.scale, kSmallestMultiplier);
  HAQ_ASSIGN_OR_RETURN(const fixedpoint::LayerRequantize requantize,
                       fixedpoint::ChooseRequantize({{multiplier, 0, low, high, clamp.high}},
                                                    {y.zero_point, clamp.low}));
  artifact::Mul mul{requantize.tensor, requantize.channels[0]};
  int32_t left = TensorOf(node.inputs[0]), right = TensorOf(node.inputs[1]);
  // The runtime broadcasts the second operand.
  if (*ir::ElementCount(graph_.values[node.inputs[0]].shape) <
      *ir::ElementCount(graph_.values[node.inputs[1]].shape)) {
    std::swap(left, right);
  }
  const int32_t output = AddOutput(node);
  AddLayer(node, mul, {left, right}, output);
  return {};
}

Status Builder::EmitOp(const ir::Node& node, const ir::AvgPool2d& op) {
  const quant::TensorParams &x = ParamsOf(node.inputs[0]), &y = ParamsOf(OutputOf(node));
  std::set<int64_t> counts;  // elements of the windows
  for (size_t i = 0; i < op.row_begin.size(); ++i) {
    for (size_t j = 0; j < op.column_begin.size(); ++j) {
      counts.insert((op.row_end[i] - op.row_begin[i]) * (op.column_end[j] - op.column_begin[j]));
    }
  }
  const int64_t largest = *counts.rbegin();
  if (op.divisor > 0) counts = {op.divisor};
  // One bound serves every count: it is the largest window's.
  const int64_t low = -int64_t{x.zero_point} * largest,
                high = int64_t{255 - x.zero_point} * largest;
  const Levels clamp = ClampOf(node);
  std::vector<fixedpoint::SumChannel> sums;
  for (const int64_t count : counts) {
    const double multiplier = double(x.scale) / y.scale / double(count);
    sums.push_back({std::max(multiplier, kSmallestMultiplier), 0, low, high, clamp.high});
  }
  HAQ_ASSIGN_OR_RETURN(fixedpoint::LayerRequantize requantize,
                       fixedpoint::ChooseRequantize(sums, {y.zero_point, clamp.low}));
  const auto own = [&](const std::vector<int64_t>& values) {
    return lowered_.model.Own(std::vector<int32_t>(values.begin(), values.end()));
  };
  artifact::AvgPool2d pool;
  pool.row_begin = own(op.row_begin);
  pool.row_end = own(op.row_end);
  pool.column_begin = own(op.column_begin);
  pool.column_end = own(op.column_end);
  if (counts.size() > 1) pool.counts = own({counts.begin(), counts.end()});
  pool.requantize = requantize.tensor;
  pool.by_count = lowered_.model.Own(std::move(requantize.channels));
  const int32_t output = AddOutput(node);
  AddLayer(node, pool, {TensorOf(node.inputs[0])}, output);
  return {};
}

}  // namespace haq::lower
