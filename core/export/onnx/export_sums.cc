// Layers that add up products: convolution, linear, add, mul.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/export/onnx/exporter.h"

namespace haq::to_onnx {

namespace {

using artifact::Blob;
using artifact::Layer;
using fixedpoint::ChannelRequantize;
using fixedpoint::WideChannel;

// Calibration saw some images only: room for others around the ends of what it saw.
constexpr double kMargin = 1.25;

int32_t ToInt32(double value) {
  return static_cast<int32_t>(std::clamp(std::nearbyint(value), -2147483648.0, 2147483647.0));
}

// [O][KH][KW][I] -> [O, I, KH, KW]
std::vector<int8_t> PlanarWeights(Blob<int8_t> weight, int64_t outputs, int64_t taps,
                                  int64_t inputs) {
  std::vector<int8_t> planar(weight.size());
  for (int64_t o = 0; o < outputs; ++o) {
    for (int64_t t = 0; t < taps; ++t) {
      for (int64_t i = 0; i < inputs; ++i) {
        planar[(o * inputs + i) * taps + t] = weight[(o * taps + t) * inputs + i];
      }
    }
  }
  return planar;
}

// How many of the parts lie below zero, and the step of all.
struct Parts {
  int below = 0;
  double step = 0;
};

Parts SplitRange(double low, double high, int parts) {
  if (parts == 1) return {0, (high - low) / 255};
  Parts best{0, std::numeric_limits<double>::infinity()};
  for (int below = 0; below <= parts; ++below) {
    if ((below == 0 && low < 0) || (below == parts && high > 0)) continue;
    const double step = std::max(below > 0 ? -low / (255.0 * below) : 0,
                                 below < parts ? high / (255.0 * (parts - below)) : 0);
    if (step < best.step) best = {below, step};
  }
  return best;
}

// Of the 32 bits; and with such steps, what shifts the parts of a sum fits, too.
constexpr double kLargestBias = 1 << 30;
constexpr double kSmallestStep = 1.0 / (1 << 21);

Levels HighLevels(int32_t low, const auto& channels) {
  Levels levels{low, {}};
  for (const auto& channel : channels) levels.high.push_back(channel.q_max);
  return levels;
}

}  // namespace

// What the integer layer means in real numbers: docs/integer_arithmetic.md, (3) to (5) and (10).
struct Exporter::Sum {
  std::vector<double> weight_scales;  // per output channel
  std::vector<double> biases;         // in units of input scale * weight scale
  std::vector<double> divisors;       // of the integer weights

  // A channel with weights of next to nothing beside its bias has a step so small that the bias
  // does not fit into 32 bits; it gets a larger one.
  // `step` is in levels of the output.
  void Add(double step, double level, double bias) {
    divisors.push_back(std::max({1.0, std::abs(bias) / kLargestBias, kSmallestStep / step}));
    weight_scales.push_back(step * level * divisors.back());
    biases.push_back(bias / divisors.back());
  }
};

Exporter::Sum Exporter::SumOf(const Layer& layer, Blob<int8_t> weight,
                              const fixedpoint::TensorRequantize& requantize,
                              Blob<ChannelRequantize> channels) const {
  const artifact::Tensor &x = TensorAt(layer.inputs[0]), &y = TensorAt(layer.output);
  const size_t depth = weight.size() / channels.size();
  Sum sum;
  for (size_t c = 0; c < channels.size(); ++c) {
    const ChannelRequantize& r = channels[c];
    const double m = std::ldexp(double(r.multiplier), -15 - r.shift - requantize.fraction_bits);
    const auto row = weight.subspan(c * depth, depth);
    const double total = std::accumulate(row.begin(), row.end(), 0.0);
    const double rounding = r.shift > 0 ? std::ldexp(1.0, r.shift - 1) : 0;
    // Rounding twice, half a unit up each time, lets values go up from that much below the middle.
    const double early = std::ldexp(1.0, -1 - requantize.fraction_bits) / m;
    const double constant =
        double(r.bias) - (y.zero_point - double(requantize.output_offset)) / m - rounding;
    sum.Add(m, y.scale / x.scale, constant + early + x.zero_point * total);
  }
  return sum;
}

Exporter::Sum Exporter::SumOf(const Layer& layer, Blob<int8_t> weight,
                              Blob<WideChannel> channels) const {
  const artifact::Tensor &x = TensorAt(layer.inputs[0]), &y = TensorAt(layer.output);
  const size_t depth = weight.size() / channels.size();
  Sum sum;
  for (size_t c = 0; c < channels.size(); ++c) {
    const WideChannel& r = channels[c];
    const double m =
        std::ldexp(double(r.multiplier), -r.shift - r.pre_shift - fixedpoint::kWideFractionBits);
    const auto row = weight.subspan(c * depth, depth);
    const double total = std::accumulate(row.begin(), row.end(), 0.0);
    const double rounding = r.pre_shift > 0 ? std::ldexp(1.0, r.pre_shift - 1) : 0;
    sum.Add(m, y.scale / x.scale, double(r.bias) - rounding + x.zero_point * total);
  }
  return sum;
}

std::string Exporter::Dequantized(const std::string& quantized, const std::vector<float>& scales,
                                  const std::string& name, bool of_weights) {
  const Shape shape{static_cast<int64_t>(scales.size())};
  const std::string scale = writer_.Floats(name + "_scale", shape, scales);
  const std::string zero =
      of_weights
          ? writer_.SignedBytes(name + "_zero_point", shape, std::vector<int8_t>(scales.size(), 0))
          : writer_.Int32(name + "_zero_point", shape, std::vector<int32_t>(scales.size(), 0));
  return writer_.Node("DequantizeLinear", {quantized, scale, zero}, name,
                      {GraphWriter::Number("axis", 0)});
}

std::string Exporter::WeightOf(const Layer& layer, const Sum& sum, const Shape& shape,
                               const std::vector<int8_t>& weight) {
  const std::string name = layer.name + ".weight";
  std::vector<int8_t> divided = weight;
  const size_t depth = weight.size() / sum.divisors.size();
  for (size_t i = 0; i < divided.size(); ++i) {
    divided[i] = static_cast<int8_t>(std::nearbyint(weight[i] / sum.divisors[i / depth]));
  }
  return Dequantized(writer_.SignedBytes(name + "_quantized", shape, divided),
                     {sum.weight_scales.begin(), sum.weight_scales.end()}, name, true);
}

// `shift`, a real number, is added to the sum of every channel. The scales are the single precision
// products of those that the graph has for input and weights: ONNX Runtime compares.
std::string Exporter::BiasOf(const Layer& layer, const Sum& sum, double shift) {
  const float x_scale = TensorAt(layer.inputs[0]).scale;
  std::vector<float> scales;
  std::vector<int32_t> biases;
  for (size_t c = 0; c < sum.biases.size(); ++c) {
    const float scale = x_scale * static_cast<float>(sum.weight_scales[c]);
    scales.push_back(scale);
    biases.push_back(ToInt32(sum.biases[c] + shift / scale));
  }
  const std::string name = layer.name + ".bias";
  const Shape shape{static_cast<int64_t>(biases.size())};
  return Dequantized(writer_.Int32(name + "_quantized", shape, biases), scales, name, false);
}

// The sum before its residual, in 8-bit parts with one step: those below zero have zero as their
// last level, those above as their first, so that the parts just add up.
std::string Exporter::EmitParts(const Layer& layer, const Sum& sum,
                                const std::vector<GraphWriter::Attribute>& attributes,
                                const std::string& weight) {
  const artifact::Tensor &y = TensorAt(layer.output), &r = TensorAt(layer.inputs[1]);
  // Beyond these no residual brings the sum back into the output's range.
  const auto value = [](const artifact::Tensor& t, int level) {
    return double(t.scale) * (level - t.zero_point);
  };
  double low = std::min(0.0, value(y, 0) - value(r, 255));
  double high = std::max(0.0, value(y, 255) - value(r, 0));
  if (const auto seen = sum_ranges_.find(layer.name); seen != sum_ranges_.end()) {
    low = std::max(low, kMargin * std::min(0.0, seen->second.first));
    high = std::min(high, kMargin * std::max(0.0, seen->second.second));
  }
  const std::string name = layer.name + ".sum";
  const int parts = options_.sum_parts;
  const Parts split = SplitRange(low, high, parts);
  const double step = split.step;
  const int below = split.below;
  const std::string scale = writer_.Floats(name + "_scale", {}, {static_cast<float>(step)});
  std::string total;
  for (int part = 0; part < parts; ++part) {
    const bool negative = parts > 1 && part < below;
    const double shift = 255 * step * (negative ? part : -(part - below));
    const auto zero_level =
        static_cast<uint8_t>(parts == 1 ? std::clamp(std::nearbyint(-low / step), 0.0, 255.0)
                             : negative ? 255
                                        : 0);
    const std::string zero = writer_.Bytes(name + "_zero_point", {}, {&zero_level, 1});
    const std::string bias = BiasOf(layer, sum, parts == 1 ? 0 : shift);
    const std::string conv =
        writer_.Node("Conv", {Real(layer.inputs[0]), weight, bias}, name + "_part", attributes);
    const std::string levels =
        writer_.Node("QuantizeLinear", {conv, scale, zero}, name + "_quantized");
    const std::string real =
        writer_.Node("DequantizeLinear", {levels, scale, zero}, name + "_dequantized");
    total = total.empty() ? real : writer_.Node("Add", {total, real}, name);
  }
  return total;
}

void Exporter::EmitConv(const Layer& layer, const artifact::Window& window, int32_t groups,
                        Blob<int8_t> weight, const Sum& sum, const Levels& levels) {
  const auto outputs = static_cast<int64_t>(sum.biases.size());
  const int64_t taps = int64_t{window.kernel_h} * window.kernel_w;
  const int64_t inputs = static_cast<int64_t>(weight.size()) / outputs / taps;
  const std::string w = WeightOf(layer, sum, {outputs, inputs, window.kernel_h, window.kernel_w},
                                 PlanarWeights(weight, outputs, taps, inputs));
  const artifact::Padding& p = window.padding;
  const std::vector<GraphWriter::Attribute> attributes = {
      {"kernel_shape", {window.kernel_h, window.kernel_w}},
      {"strides", {window.stride_h, window.stride_w}},
      {"dilations", {window.dilation_h, window.dilation_w}},
      {"pads", {p.top, p.left, p.bottom, p.right}},
      GraphWriter::Number("group", groups)};
  if (layer.inputs.size() == 1) {
    const std::string bias = BiasOf(layer, sum, 0);
    Finish(layer.output,
           writer_.Node("Conv", {Real(layer.inputs[0]), w, bias}, layer.name, attributes), levels);
    return;
  }
  const bool wide = IsWide(TensorAt(layer.output)) || IsWide(TensorAt(layer.inputs[1]));
  const std::string products =
      wide ? writer_.Node("Conv", {Real(layer.inputs[0]), w, BiasOf(layer, sum, 0)},
                          layer.name + ".sum", attributes)
           : EmitParts(layer, sum, attributes, w);
  Finish(layer.output, writer_.Node("Add", {products, Real(layer.inputs[1])}, layer.name), levels);
}

Status Exporter::Emit(const Layer& layer, const artifact::Conv2d& op) {
  EmitConv(layer, op, op.groups, op.weight, SumOf(layer, op.weight, op.requantize, op.channels),
           HighLevels(op.requantize.q_min, op.channels));
  return {};
}

Status Exporter::Emit(const Layer& layer, const artifact::WideConv2d& op) {
  EmitConv(layer, op, op.groups, op.weight, SumOf(layer, op.weight, op.channels),
           HighLevels(op.q_min, op.channels));
  return {};
}

void Exporter::EmitLinear(const Layer& layer, Blob<int8_t> weight, const Sum& sum,
                          const Levels& levels) {
  const artifact::Tensor& x = TensorAt(layer.inputs[0]);
  const auto outputs = static_cast<int64_t>(sum.biases.size());
  const int64_t inputs = static_cast<int64_t>(weight.size()) / outputs;
  std::string real = Real(layer.inputs[0]);
  std::vector<int8_t> planar(weight.begin(), weight.end());
  if (x.shape.size() == 3) {
    planar = PlanarWeights(weight, outputs, int64_t{x.shape[0]} * x.shape[1], x.shape[2]);
  }
  if (x.shape.size() != 1) real = writer_.Node("Flatten", {real}, layer.name + "_flattened");
  const std::string w = WeightOf(layer, sum, {outputs, inputs}, planar);
  const std::string bias = BiasOf(layer, sum, 0);
  Finish(layer.output,
         writer_.Node("Gemm", {real, w, bias}, layer.name, {GraphWriter::Number("transB", 1)}),
         levels);
}

Status Exporter::Emit(const Layer& layer, const artifact::Linear& op) {
  EmitLinear(layer, op.weight, SumOf(layer, op.weight, op.requantize, op.channels),
             HighLevels(op.requantize.q_min, op.channels));
  return {};
}

Status Exporter::Emit(const Layer& layer, const artifact::WideLinear& op) {
  EmitLinear(layer, op.weight, SumOf(layer, op.weight, op.channels),
             HighLevels(op.q_min, op.channels));
  return {};
}

Status Exporter::Emit(const Layer& layer, const artifact::Add& op) {
  Finish(layer.output,
         writer_.Node("Add", {Real(layer.inputs[0]), Real(layer.inputs[1])}, layer.name),
         {op.requantize.q_min, {op.requantize.q_max}});
  return {};
}

// A clamp or a change of scale is a sum of something and nothing.
Status Exporter::Emit(const Layer& layer, const artifact::WideAdd& op) {
  const fixedpoint::WideAddRequantize& r = op.requantize;
  if (r.multiplier_a == 0 || r.multiplier_b == 0) {
    Finish(layer.output, Real(layer.inputs[r.multiplier_b == 0 ? 0 : 1]), {r.q_min, {r.q_max}});
    return {};
  }
  Finish(layer.output,
         writer_.Node("Add", {Real(layer.inputs[0]), Real(layer.inputs[1])}, layer.name),
         {op.requantize.q_min, {op.requantize.q_max}});
  return {};
}

Status Exporter::Emit(const Layer& layer, const artifact::Mul& op) {
  Finish(layer.output,
         writer_.Node("Mul", {Real(layer.inputs[0]), Real(layer.inputs[1])}, layer.name),
         {op.requantize.q_min, {op.channel.q_max}});
  return {};
}

}  // namespace haq::to_onnx
