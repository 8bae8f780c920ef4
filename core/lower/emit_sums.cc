// Operators that add up products: convolution, linear, per-channel affine, add, mul, average
// pooling.
#include <algorithm>
#include <cmath>
#include <limits>
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

}  // namespace

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

namespace {

// 8-bit levels, or the bytes of 16-bit ones, are added up in int32.
Status CheckSums(int64_t channel, int64_t negative, int64_t positive) {
  if (255 * std::max(-negative, positive) <= std::numeric_limits<int32_t>::max()) return {};
  return InvalidArgument(
      "channel {}: the accumulator in [{}, {}] can leave int32; fewer inputs or smaller weights "
      "are allowed",
      channel, 255 * negative, 255 * positive);
}

}  // namespace

const quant::QuantizedWeights* Builder::ChosenWeights(const ir::Node& node) const {
  const int index = IndexOf(node);
  for (const SumWeights& chosen : options_.chosen_weights) {
    if (chosen.node == index) return &chosen.weights;
  }
  return nullptr;
}

std::optional<quant::QuantizedWeights> Builder::GivenWeights(const ir::Node& node,
                                                             const std::vector<float>& weight,
                                                             int64_t channels) const {
  const auto given = options_.given.weights.find(IndexOf(node));
  if (given == options_.given.weights.end()) return std::nullopt;
  const std::vector<float>& scales = given->second;
  if (scales.size() != 1 && static_cast<int64_t>(scales.size()) != channels) return std::nullopt;
  quant::QuantizedWeights quantized;
  const size_t per_channel = weight.size() / static_cast<size_t>(channels);
  for (size_t i = 0; i < weight.size(); ++i) {
    const double scale = scales.size() == 1 ? scales[0] : scales[i / per_channel];
    const double level = std::nearbyint(weight[i] / scale);
    if (std::abs(level) > 127 || static_cast<float>(level * scale) != weight[i]) {
      return std::nullopt;
    }
    quantized.values.push_back(static_cast<int8_t>(level));
  }
  for (int64_t c = 0; c < channels; ++c) {
    quantized.scales.push_back(scales.size() == 1 ? scales[0] : scales[c]);
  }
  return quantized;
}

void Builder::AddSumWeights(const ir::Node& node, quant::QuantizedWeights weights) {
  lowered_.sums.push_back({IndexOf(node), static_cast<int32_t>(lowered_.model.layers.size()) - 1,
                           std::move(weights), plan_.fused_add[IndexOf(node)].residual});
}

Result<Builder::SumLayer> Builder::QuantizeSum(const ir::Node& node,
                                               const std::vector<float>& weight,
                                               const std::vector<float>& bias,
                                               quant::WeightGranularity granularity) {
  const quant::TensorParams& x = ParamsOf(node.inputs[0]);
  const quant::TensorParams& y = ParamsOf(OutputOf(node));
  const auto channels = static_cast<int64_t>(graph_.values[node.output].shape[1]);
  const int64_t per_channel = static_cast<int64_t>(weight.size()) / channels;

  const bool is_wide = IsWide(node);
  const double last_level = x.last_level();
  // Wide layers have room for every bias.
  std::vector<double> bias_in_input_steps;
  for (const float value : bias) bias_in_input_steps.push_back(double(value) / x.scale);
  const std::vector<double> narrow_bias = is_wide ? std::vector<double>() : bias_in_input_steps;
  const double smallest_scale = kSmallestWeightMultiplier * 255 / last_level * y.scale / x.scale;
  const quant::QuantizedWeights* chosen = ChosenWeights(node);
  if (chosen && (chosen->values.size() != weight.size() ||
                 static_cast<int64_t>(chosen->scales.size()) != channels)) {
    return InvalidArgument("{} weights were chosen for {} channels, it has {} and {}",
                           chosen->values.size(), chosen->scales.size(), weight.size(), channels);
  }
  const auto given = GivenWeights(node, weight, channels);
  if (chosen == nullptr && given) chosen = &*given;
  SumLayer layer;
  layer.weights =
      chosen ? quant::KeepRepresentable(*chosen, narrow_bias, smallest_scale)
             : quant::QuantizeWeights(weight, channels, granularity, narrow_bias, smallest_scale);

  const Levels clamp = ClampOf(node);
  std::vector<fixedpoint::SumChannel> sums(channels);
  for (int64_t c = 0; c < channels; ++c) {
    int64_t positive = 0, negative = 0;
    for (int64_t i = c * per_channel; i < (c + 1) * per_channel; ++i) {
      (layer.weights.values[i] > 0 ? positive : negative) += layer.weights.values[i];
    }
    HAQ_RETURN_IF_ERROR(CheckSums(c, negative, positive));
    const double scale = layer.weights.scales[c];
    sums[c].acc_min = x.last_level() * negative;
    sums[c].acc_max = x.last_level() * positive;
    sums[c].scale = x.scale * scale / y.scale;
    sums[c].constant = (bias.empty() ? 0.0 : bias_in_input_steps[c] / scale) -
                       double(x.zero_point) * double(positive + negative);
    sums[c].q_max = clamp.High(c);
  }
  layer.q_min = clamp.low;
  HAQ_RETURN_IF_ERROR(Requantize(node, sums, layer));
  return layer;
}

Status Builder::Requantize(const ir::Node& node, const std::vector<fixedpoint::SumChannel>& sums,
                           SumLayer& layer) {
  const quant::TensorParams& y = ParamsOf(OutputOf(node));
  fixedpoint::SumOutput output{y.zero_point, layer.q_min};
  const FusedAdd& fused = plan_.fused_add[IndexOf(node)];
  if (fused.exists()) {
    const quant::TensorParams& residual = ParamsOf(fused.residual);
    output.residual = {double(residual.scale) / y.scale, residual.zero_point,
                       residual.last_level()};
    unfusable_add_ = fused.add;  // unless what follows succeeds
  }
  if (IsWide(node)) {
    HAQ_ASSIGN_OR_RETURN(layer.wide,
                         fixedpoint::ChooseWideRequantize(sums, output, y.last_level()));
  } else {
    HAQ_ASSIGN_OR_RETURN(layer.requantize, fixedpoint::ChooseRequantize(sums, output));
  }
  unfusable_add_ = -1;
  return {};
}

Status Builder::EmitOp(const ir::Node& node, const ir::Conv2d& op) {
  const ir::Shape& shape = op.weight.shape;  // [O, I / groups, KH, KW]
  HAQ_ASSIGN_OR_RETURN(
      SumLayer sum,
      QuantizeSum(node, ToStoredOrder(op.weight.data, shape[0], shape[1], shape[2] * shape[3]),
                  op.bias, options_.weights));
  artifact::Window window;
  window.kernel_h = static_cast<int32_t>(shape[2]);
  window.kernel_w = static_cast<int32_t>(shape[3]);
  window.stride_h = static_cast<int32_t>(op.stride[0]);
  window.stride_w = static_cast<int32_t>(op.stride[1]);
  window.dilation_h = static_cast<int32_t>(op.dilation[0]);
  window.dilation_w = static_cast<int32_t>(op.dilation[1]);
  window.padding = {static_cast<int32_t>(op.padding.top), static_cast<int32_t>(op.padding.left),
                    static_cast<int32_t>(op.padding.bottom),
                    static_cast<int32_t>(op.padding.right)};
  AddConv(node, window, op.groups, sum);
  AddSumWeights(node, std::move(sum.weights));
  return {};
}

artifact::Op Builder::MakeConv(const artifact::Window& window, int64_t groups,
                               const SumLayer& sum) {
  const artifact::Blob<int8_t> weight = lowered_.model.Own(sum.weights.values);
  if (sum.wide) {
    artifact::WideConv2d conv;
    static_cast<artifact::Window&>(conv) = window;
    conv.weight = weight;
    conv.groups = static_cast<int32_t>(groups);
    conv.q_min = static_cast<uint16_t>(sum.q_min);
    conv.residual_multiplier = sum.wide->residual_multiplier;
    conv.channels = lowered_.model.Own(sum.wide->channels);
    return conv;
  }
  artifact::Conv2d conv;
  static_cast<artifact::Window&>(conv) = window;
  conv.weight = weight;
  conv.groups = static_cast<int32_t>(groups);
  conv.requantize = sum.requantize.tensor;
  conv.residual_multiplier = sum.requantize.residual.multiplier;
  conv.channels = lowered_.model.Own(sum.requantize.channels);
  return conv;
}

void Builder::AddConv(const ir::Node& node, const artifact::Window& window, int64_t groups,
                      const SumLayer& sum) {
  artifact::Op conv = MakeConv(window, groups, sum);
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
  const ir::ValueId image = FlattenedImage(node.inputs[0], node);
  std::vector<float> weight = op.weight.data;
  if (image >= 0) {
    const ir::Shape& shape = graph_.values[image].shape;
    weight = ToStoredOrder(weight, op.weight.shape[0], shape[1], shape[2] * shape[3]);
  }
  HAQ_ASSIGN_OR_RETURN(SumLayer sum, QuantizeSum(node, weight, op.bias, options_.weights));
  const int32_t input = TensorOf(image >= 0 ? image : node.inputs[0]);
  const int32_t output = AddOutput(node);
  AddLayer(node, MakeLinear(sum), {input}, output);
  AddSumWeights(node, std::move(sum.weights));
  return {};
}

artifact::Op Builder::MakeLinear(const SumLayer& sum) {
  const artifact::Blob<int8_t> weight = lowered_.model.Own(sum.weights.values);
  if (sum.wide) {
    return artifact::WideLinear{weight, static_cast<uint16_t>(sum.q_min),
                                lowered_.model.Own(sum.wide->channels)};
  }
  return artifact::Linear{weight, sum.requantize.tensor,
                          lowered_.model.Own(sum.requantize.channels)};
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
  HAQ_ASSIGN_OR_RETURN(SumLayer sum,
                       QuantizeSum(node, scale, shift, quant::WeightGranularity::kPerChannel));
  if (!vector) {
    AddConv(node, {}, channels, sum);
    return {};
  }
  const int32_t input = AddHelper(node, "image", artifact::Reshape{}, {TensorOf(node.inputs[0])},
                                  {1, 1, channels}, ParamsOf(node.inputs[0]));
  const int32_t sums = AddTensor(node.name + ".sums", {1, 1, channels}, ParamsOf(OutputOf(node)));
  AddLayer(node, MakeConv({}, channels, sum), {input}, sums);
  const int32_t output = AddOutput(node);
  AddLayer(node, artifact::Reshape{}, {sums}, output);
  return {};
}

// Whether the first operand is the one that is broadcast; the runtime broadcasts the second.
bool Builder::BroadcastsFirst(const ir::Node& node) const {
  const auto count = [&](size_t i) {
    return *ir::ElementCount(graph_.values[node.inputs[i]].shape);
  };
  return count(0) < count(1);
}

Status Builder::EmitOp(const ir::Node& node, const ir::Add&) {
  ir::ValueId a = node.inputs[0], b = node.inputs[1];
  if (BroadcastsFirst(node)) std::swap(a, b);
  const quant::TensorParams& y = ParamsOf(OutputOf(node));
  const Levels clamp = ClampOf(node);
  const std::vector<int32_t> inputs = {TensorOf(a), TensorOf(b)};
  const auto scale = [&](ir::ValueId x) { return double(ParamsOf(x).scale) / y.scale; };
  if (IsWide(node)) {
    artifact::WideAdd add;
    HAQ_ASSIGN_OR_RETURN(add.requantize,
                         fixedpoint::ChooseWideAddRequantize(
                             {scale(a), ParamsOf(a).zero_point}, {scale(b), ParamsOf(b).zero_point},
                             y.zero_point, clamp.low, clamp.high, y.last_level()));
    const int32_t output = AddOutput(node);
    AddLayer(node, add, inputs, output);
    return {};
  }
  // A term under 2^-20 of the output's step cannot move it.
  artifact::Add add;
  HAQ_ASSIGN_OR_RETURN(add.requantize, fixedpoint::ChooseAddRequantize(
                                           std::max(scale(a), 0x1p-20), ParamsOf(a).zero_point,
                                           std::max(scale(b), 0x1p-20), ParamsOf(b).zero_point,
                                           y.zero_point, clamp.low, clamp.high));
  const int32_t output = AddOutput(node);
  AddLayer(node, add, inputs, output);
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
  if (BroadcastsFirst(node)) std::swap(left, right);
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
                high = int64_t{x.last_level() - x.zero_point} * largest;
  const Levels clamp = ClampOf(node);
  std::vector<fixedpoint::SumChannel> sums;
  for (const int64_t count : counts) {
    const double multiplier = double(x.scale) / y.scale / double(count);
    sums.push_back({std::max(multiplier, kSmallestMultiplier), 0, low, high, clamp.high});
  }
  SumLayer layer;
  layer.q_min = clamp.low;
  HAQ_RETURN_IF_ERROR(Requantize(node, sums, layer));
  const auto own = [&](const std::vector<int64_t>& values) {
    return lowered_.model.Own(std::vector<int32_t>(values.begin(), values.end()));
  };
  artifact::PoolWindows windows{
      own(op.row_begin), own(op.row_end), own(op.column_begin), own(op.column_end), {}};
  if (counts.size() > 1) windows.counts = own({counts.begin(), counts.end()});
  const int32_t output = AddOutput(node);
  AddLayer(node, MakeAvgPool(windows, layer), {TensorOf(node.inputs[0])}, output);
  return {};
}

artifact::Op Builder::MakeAvgPool(const artifact::PoolWindows& windows, const SumLayer& layer) {
  if (layer.wide) {
    return artifact::WideAvgPool2d{windows, lowered_.model.Own(layer.wide->channels),
                                   static_cast<uint16_t>(layer.q_min)};
  }
  return artifact::AvgPool2d{windows, lowered_.model.Own(layer.requantize.channels),
                             layer.requantize.tensor};
}

}  // namespace haq::lower
