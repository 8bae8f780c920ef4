#include "tests/support/model_builder.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <set>

namespace haq::test {
namespace {

using artifact::LastLevel;
using artifact::Tensor;

template <typename T>
T ValueOrDie(Result<T> result) {
  return std::move(result).value();
}

}  // namespace

ModelBuilder::ModelBuilder(std::vector<int32_t> shape, uint64_t seed, int32_t zero_point, bool wide)
    : random_(seed) {
  model_.preprocess_json = "{}";
  model_.metadata_json = "{}";
  model_.input_shape.assign(shape.begin(), shape.end());
  if (shape.size() == 3) model_.input_shape = {shape[2], shape[0], shape[1]};
  model_.input = AddTensor(std::move(shape), 0.02f, zero_point, wide);
}

// A wide tensor has the range that an 8-bit one of that scale and zero point would have.
int32_t ModelBuilder::AddTensor(std::vector<int32_t> shape, float scale, int32_t zero_point,
                                bool wide) {
  Tensor tensor;
  if (wide) {
    tensor.type = artifact::DataType::kUint16;
    scale /= 257;
    zero_point *= 257;
  }
  tensor.name = "t" + std::to_string(model_.tensors.size());
  tensor.shape = std::move(shape);
  tensor.scale = scale;
  tensor.zero_point = zero_point;
  model_.tensors.push_back(std::move(tensor));
  return static_cast<int32_t>(model_.tensors.size()) - 1;
}

int32_t ModelBuilder::AddLike(int32_t input, std::vector<int32_t> shape) {
  const int32_t output = AddTensor(std::move(shape), tensor(input).scale, tensor(input).zero_point);
  model_.tensors[output].type = tensor(input).type;
  return output;
}

int32_t ModelBuilder::AddLayer(artifact::Op op, std::vector<int32_t> inputs, int32_t output) {
  artifact::Layer layer;
  layer.name = "layer" + std::to_string(model_.layers.size());
  layer.op = std::move(op);
  layer.inputs = std::move(inputs);
  layer.output = output;
  const artifact::AccumulatorBounds bounds = artifact::BoundAccumulator(model_, layer);
  layer.acc_min = bounds.min;
  layer.acc_max = bounds.max;
  model_.layers.push_back(std::move(layer));
  return output;
}

ModelBuilder::Sums ModelBuilder::Weights(int64_t channels, int64_t depth, int32_t input,
                                         int32_t output, int32_t residual) {
  const Tensor x = tensor(input), y = tensor(output);
  // Steps of the output, and units of the input, in an 8-bit one's.
  const double finer = IsWide(output) ? 257 : 1, x_finer = IsWide(input) ? 257 : 1;
  std::vector<int8_t> weight(channels * depth);
  std::vector<fixedpoint::SumChannel> sums(channels);
  // A sum of `depth` random products spreads as the root of depth: two thirds of 256 steps.
  const double spread = 73.0 * 50.0 * std::sqrt(static_cast<double>(depth));
  for (int64_t c = 0; c < channels; ++c) {
    int64_t sum = 0;
    fixedpoint::SumChannel& out = sums[c];
    for (int64_t i = c * depth; i < (c + 1) * depth; ++i) {
      weight[i] = static_cast<int8_t>(Random(-127, 127));
      sum += weight[i];
      (weight[i] < 0 ? out.acc_min : out.acc_max) += LastLevel(x.type) * weight[i];
    }
    out.scale = 60.0 / spread * (0.5 + Random(0, 100) / 100.0) * finer / x_finer;
    out.constant = -static_cast<double>(x.zero_point) * static_cast<double>(sum) +
                   Random(-20, 60) * finer / out.scale;
    out.q_max = LastLevel(y.type);
    if (Random(1, 4) == 1) out.q_max = static_cast<int>(Random(200, 255) * finer);
  }
  fixedpoint::SumOutput target{y.zero_point, 0};
  if (residual >= 0) {
    const Tensor& b = tensor(residual);
    target.residual = {0.6 * finer / (IsWide(residual) ? 257 : 1), b.zero_point, LastLevel(b.type)};
  }
  Sums result;
  result.wide = IsWide(input) || IsWide(output) || (residual >= 0 && IsWide(residual));
  if (result.wide) {
    result.wide_form =
        ValueOrDie(fixedpoint::ChooseWideRequantize(sums, target, LastLevel(y.type)));
  } else {
    result.narrow_form = ValueOrDie(fixedpoint::ChooseRequantize(sums, target));
  }
  result.weight = model_.Own(std::move(weight));
  return result;
}

int32_t ModelBuilder::Conv(int32_t input, const ConvOptions& o) {
  const std::vector<int32_t> in = tensor(input).shape;
  const int32_t reach = o.dilation * (o.kernel - 1) + 1;
  const auto side = [&](int32_t size) { return (size + 2 * o.padding - reach) / o.stride + 1; };
  const int32_t output = AddTensor({side(in[0]), side(in[1]), o.out_channels}, 0.03f,
                                   o.relu ? 0 : Random(90, 160), o.wide);
  // The right and bottom padding that the stride never reaches still counts.
  artifact::Window window;
  window.kernel_h = window.kernel_w = o.kernel;
  window.stride_h = window.stride_w = o.stride;
  window.dilation_h = window.dilation_w = o.dilation;
  window.padding = {o.padding, o.padding, o.padding, o.padding};
  const Sums sums = Weights(o.out_channels, int64_t{o.kernel} * o.kernel * in[2] / o.groups, input,
                            output, o.residual);
  std::vector<int32_t> inputs = {input};
  if (o.residual >= 0) inputs.push_back(o.residual);
  const auto add = [&](auto conv, int64_t residual_multiplier, const auto& channels) {
    static_cast<artifact::Window&>(conv) = window;
    conv.groups = o.groups;
    conv.weight = sums.weight;
    conv.residual_multiplier = static_cast<decltype(conv.residual_multiplier)>(residual_multiplier);
    conv.channels = model_.Own(channels);
    return AddLayer(conv, inputs, output);
  };
  if (sums.wide) {
    return add(artifact::WideConv2d(), sums.wide_form.residual_multiplier, sums.wide_form.channels);
  }
  artifact::Conv2d conv;
  conv.requantize = sums.narrow_form.tensor;
  return add(conv, sums.narrow_form.residual.multiplier, sums.narrow_form.channels);
}

int32_t ModelBuilder::Linear(int32_t input, int32_t outputs, bool wide) {
  const int32_t output = AddTensor({outputs}, 0.05f, Random(90, 160), wide);
  const Sums sums = Weights(outputs, tensor(input).ElementCount(), input, output, -1);
  if (sums.wide) {
    const artifact::WideLinear linear{sums.weight, 0, model_.Own(sums.wide_form.channels)};
    return AddLayer(linear, {input}, output);
  }
  const artifact::Linear linear{sums.weight, sums.narrow_form.tensor,
                                model_.Own(sums.narrow_form.channels)};
  return AddLayer(linear, {input}, output);
}

int32_t ModelBuilder::Add(int32_t a, int32_t b, bool wide) {
  const int32_t output = AddTensor(tensor(a).shape, 0.04f, 120, wide);
  if (IsWide(a) || IsWide(b) || wide) {
    const auto summand = [&](int32_t x, double scale) {
      return fixedpoint::WideSummand{scale * (wide ? 257 : 1) / (IsWide(x) ? 257 : 1),
                                     tensor(x).zero_point};
    };
    const artifact::WideAdd add{ValueOrDie(fixedpoint::ChooseWideAddRequantize(
        summand(a, 0.8), summand(b, 0.47), tensor(output).zero_point, 0,
        LastLevel(tensor(output).type), LastLevel(tensor(output).type)))};
    return AddLayer(add, {a, b}, output);
  }
  artifact::Add add;
  add.requantize = ValueOrDie(fixedpoint::ChooseAddRequantize(
      0.8, tensor(a).zero_point, 0.47, tensor(b).zero_point, tensor(output).zero_point, 0, 255));
  return AddLayer(add, {a, b}, output);
}

int32_t ModelBuilder::Mul(int32_t a, int32_t b) {
  const int32_t output = AddTensor(tensor(a).shape, 0.04f, 40);
  const auto layer = ValueOrDie(fixedpoint::ChooseRequantize(
      {{0.005, 0, -65025, 65025}}, {.zero_point = tensor(output).zero_point}));
  return AddLayer(artifact::Mul{layer.tensor, layer.channels[0]}, {a, b}, output);
}

int32_t ModelBuilder::Table(int32_t input) {
  return AddTable(input, AddTensor(tensor(input).shape, 0.04f, 30));
}

int32_t ModelBuilder::AddTable(int32_t input, int32_t output) {
  artifact::Table table;
  for (uint8_t& level : table.table) level = static_cast<uint8_t>(Random(0, 255));
  return AddLayer(table, {input}, output);
}

int32_t ModelBuilder::Concat(std::vector<int32_t> inputs, int32_t axis) {
  const Tensor first = tensor(inputs[0]);
  std::vector<int32_t> shape = first.shape;
  shape[axis] = 0;
  for (int32_t& input : inputs) {
    shape[axis] += tensor(input).shape[axis];
    if (tensor(input).scale == first.scale && tensor(input).zero_point == first.zero_point) {
      continue;
    }
    const int32_t like = AddTensor(tensor(input).shape, first.scale, first.zero_point);
    input = AddTable(input, like);
  }
  const int32_t output = AddLike(inputs[0], shape);
  return AddLayer(artifact::Concat{axis}, std::move(inputs), output);
}

int32_t ModelBuilder::MaxPool(int32_t input, int32_t kernel, int32_t stride, int32_t padding) {
  const std::vector<int32_t> in = tensor(input).shape;
  const auto side = [&](int32_t size) { return (size + 2 * padding - kernel) / stride + 1; };
  const int32_t output = AddLike(input, {side(in[0]), side(in[1]), in[2]});
  artifact::MaxPool2d pool;
  pool.kernel_h = pool.kernel_w = kernel;
  pool.stride_h = pool.stride_w = stride;
  pool.padding = {padding, padding, padding, padding};
  return AddLayer(pool, {input}, output);
}

int32_t ModelBuilder::AvgPool(int32_t input, int32_t kernel, int32_t stride, int32_t padding,
                              bool by_count) {
  const std::vector<int32_t> in = tensor(input).shape;
  std::vector<int32_t> begin[2], end[2];
  for (int axis = 0; axis < 2; ++axis) {
    for (int32_t at = -padding; at + kernel <= in[axis] + padding; at += stride) {
      begin[axis].push_back(std::max(at, 0));
      end[axis].push_back(std::min(at + kernel, in[axis]));
    }
  }
  std::set<int32_t> counts;
  for (size_t i = 0; i < begin[0].size(); ++i) {
    for (size_t j = 0; j < begin[1].size(); ++j) {
      counts.insert((end[0][i] - begin[0][i]) * (end[1][j] - begin[1][j]));
    }
  }
  if (!by_count) counts = {kernel * kernel};
  const int32_t output = AddLike(
      input, {static_cast<int32_t>(begin[0].size()), static_cast<int32_t>(begin[1].size()), in[2]});
  const int64_t zero = tensor(input).zero_point, largest = int64_t{kernel} * kernel;
  const int32_t last_level = LastLevel(tensor(input).type);
  std::vector<fixedpoint::SumChannel> sums;
  for (const int32_t count : counts) {
    sums.push_back({1.0 / count, 0, -zero * largest, (last_level - zero) * largest, last_level});
  }
  artifact::PoolWindows windows;
  windows.row_begin = model_.Own(std::move(begin[0]));
  windows.row_end = model_.Own(std::move(end[0]));
  windows.column_begin = model_.Own(std::move(begin[1]));
  windows.column_end = model_.Own(std::move(end[1]));
  if (by_count) windows.counts = model_.Own(std::vector<int32_t>(counts.begin(), counts.end()));
  const fixedpoint::SumOutput target{tensor(output).zero_point, 0};
  if (IsWide(input)) {
    const auto wide = ValueOrDie(fixedpoint::ChooseWideRequantize(sums, target, last_level));
    return AddLayer(artifact::WideAvgPool2d{windows, model_.Own(wide.channels), 0}, {input},
                    output);
  }
  const auto layer = ValueOrDie(fixedpoint::ChooseRequantize(sums, target));
  return AddLayer(artifact::AvgPool2d{windows, model_.Own(layer.channels), layer.tensor}, {input},
                  output);
}

int32_t ModelBuilder::GlobalAvgPool(int32_t input) {
  return AvgPool(input, tensor(input).shape[0], 1, 0, false);
}

int32_t ModelBuilder::Pad(int32_t input, const std::vector<int32_t>& before,
                          const std::vector<int32_t>& after) {
  std::vector<int32_t> shape = tensor(input).shape;
  for (size_t i = 0; i < shape.size(); ++i) shape[i] += before[i] + after[i];
  artifact::Pad pad;
  pad.before = before;
  pad.after = after;
  pad.value = static_cast<uint16_t>(Random(0, LastLevel(tensor(input).type)));
  return AddLayer(pad, {input}, AddLike(input, shape));
}

int32_t ModelBuilder::Slice(int32_t input, int32_t axis, int32_t start, int32_t step,
                            int32_t count) {
  std::vector<int32_t> shape = tensor(input).shape;
  shape[axis] = count;
  return AddLayer(artifact::Slice{axis, start, step}, {input}, AddLike(input, shape));
}

int32_t ModelBuilder::Transpose(int32_t input, const std::vector<int32_t>& order) {
  std::vector<int32_t> shape;
  for (const int32_t i : order) shape.push_back(tensor(input).shape[i]);
  return AddLayer(artifact::Transpose{order}, {input}, AddLike(input, shape));
}

int32_t ModelBuilder::Reshape(int32_t input, const std::vector<int32_t>& shape) {
  return AddLayer(artifact::Reshape{}, {input}, AddLike(input, shape));
}

int32_t ModelBuilder::Softmax(int32_t input) {
  const int32_t output = AddTensor(tensor(input).shape, 1.0f / 65535, 0);
  model_.tensors[output].type = artifact::DataType::kUint16;
  std::vector<uint32_t> table(256);
  for (int i = 0; i < 256; ++i) {
    table[i] = static_cast<uint32_t>(std::lround(std::exp(-0.05 * i) * 0x1p24));
  }
  return AddLayer(artifact::Softmax{model_.Own(std::move(table))}, {input}, output);
}

artifact::Model ModelBuilder::Finish(int32_t output) {
  model_.output = output;
  if (const Status status = artifact::Verify(model_); !status.ok()) {
    std::fprintf(stderr, "ModelBuilder: %s\n", status.ToString().c_str());
    std::abort();
  }
  return std::move(model_);
}

}  // namespace haq::test
