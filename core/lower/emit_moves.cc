// Operators that move bytes or look them up: tables, concat, max pooling, pad, slice, reshape,
// permute, softmax.
#include <algorithm>
#include <cmath>

#include "core/ir/functions.h"
#include "core/lower/builder.h"

namespace haq::lower {
namespace {

template <typename Function>
artifact::Table MakeTable(const quant::TensorParams& from, const quant::TensorParams& to,
                          const Function& function) {
  artifact::Table table;
  for (int q = 0; q < 256; ++q) {
    const double y = function(from.scale * double(q - from.zero_point));
    table.table[q] =
        static_cast<uint8_t>(std::clamp(std::nearbyint(y / to.scale) + to.zero_point, 0.0, 255.0));
  }
  return table;
}

}  // namespace

template <typename Function>
Status Builder::EmitTable(const ir::Node& node, const Function& op) {
  const artifact::Table table = MakeTable(ParamsOf(node.inputs[0]), ParamsOf(node.output),
                                          [&](double x) { return ir::Apply(op, x); });
  const int32_t output = AddOutput(node);
  AddLayer(node, table, {TensorOf(node.inputs[0])}, output);
  return {};
}

template <typename Function>
Status Builder::EmitOp(const ir::Node& node, const Function& op) {
  return EmitTable(node, op);
}
template Status Builder::EmitOp(const ir::Node&, const ir::LeakyRelu&);
template Status Builder::EmitOp(const ir::Node&, const ir::Sigmoid&);
template Status Builder::EmitOp(const ir::Node&, const ir::HardSigmoid&);
template Status Builder::EmitOp(const ir::Node&, const ir::Silu&);
template Status Builder::EmitOp(const ir::Node&, const ir::HardSwish&);
template Status Builder::EmitOp(const ir::Node&, const ir::Tanh&);

// One table serves all channels; a multiplication by one clamps each of them by itself.
Status Builder::EmitOp(const ir::Node& node, const ir::Clamp& op) {
  if (op.channel_high.empty()) {
    if (!IsWide(node)) return EmitTable(node, op);
    HAQ_ASSIGN_OR_RETURN(artifact::WideAdd clamp,
                         WideClamp(ParamsOf(node.inputs[0]), ParamsOf(node.output), ClampOf(node)));
    const int32_t input = TensorOf(node.inputs[0]);
    const int32_t output = AddOutput(node);
    AddLayer(node, clamp, {input, input}, output);
    return {};
  }
  const size_t channels = op.channel_high.size();
  return EmitAffine(node, std::vector<float>(channels, 1), std::vector<float>(channels, 0));
}

Result<artifact::WideAdd> Builder::WideClamp(const quant::TensorParams& x,
                                             const quant::TensorParams& y,
                                             const Levels& clamp) const {
  artifact::WideAdd add;
  const fixedpoint::WideSummand summand{double(x.scale) / y.scale, x.zero_point};
  HAQ_ASSIGN_OR_RETURN(add.requantize,
                       fixedpoint::ChooseWideAddRequantize(summand, {}, y.zero_point, clamp.low,
                                                           clamp.high, y.last_level()));
  return add;
}

Result<int32_t> Builder::Requantized(const ir::Node& node, ir::ValueId value,
                                     const quant::TensorParams& y) {
  const quant::TensorParams& x = ParamsOf(value);
  const int32_t tensor = TensorOf(value);
  if (x.scale == y.scale && x.zero_point == y.zero_point && x.bits == y.bits) return tensor;
  const std::vector<int32_t> shape = StoredShape(graph_.values[value].shape);
  if (x.bits == 8 && y.bits == 8) {
    return AddHelper(node, "requantize", MakeTable(x, y, [](double v) { return v; }), {tensor},
                     shape, y);
  }
  HAQ_ASSIGN_OR_RETURN(const artifact::WideAdd add, WideClamp(x, y, {0, y.last_level(), {}}));
  return AddHelper(node, "requantize", add, {tensor, tensor}, shape, y);
}

Status Builder::EmitOp(const ir::Node& node, const ir::Concat& op) {
  const quant::TensorParams& y = ParamsOf(node.output);
  std::vector<int32_t> inputs;
  for (const ir::ValueId value : node.inputs) {
    HAQ_ASSIGN_OR_RETURN(const int32_t tensor, Requantized(node, value, y));
    inputs.push_back(tensor);
  }
  const size_t rank = graph_.values[node.output].shape.size();
  const int32_t output = AddOutput(node);
  AddLayer(node, artifact::Concat{StoredAxis(rank, op.axis)}, std::move(inputs), output);
  return {};
}

Status Builder::EmitOp(const ir::Node& node, const ir::MaxPool2d& op) {
  artifact::MaxPool2d pool;
  pool.kernel_h = static_cast<int32_t>(op.kernel[0]);
  pool.kernel_w = static_cast<int32_t>(op.kernel[1]);
  pool.stride_h = static_cast<int32_t>(op.stride[0]);
  pool.stride_w = static_cast<int32_t>(op.stride[1]);
  pool.dilation_h = static_cast<int32_t>(op.dilation[0]);
  pool.dilation_w = static_cast<int32_t>(op.dilation[1]);
  pool.padding = {static_cast<int32_t>(op.padding.top), static_cast<int32_t>(op.padding.left),
                  static_cast<int32_t>(op.padding.bottom), static_cast<int32_t>(op.padding.right)};
  const int32_t output = AddOutput(node);
  AddLayer(node, pool, {TensorOf(node.inputs[0])}, output);
  return {};
}

Status Builder::EmitOp(const ir::Node& node, const ir::Pad& op) {
  const quant::TensorParams& params = ParamsOf(node.output);
  const size_t rank = op.before.size();
  artifact::Pad pad;
  pad.before.resize(rank - 1);
  pad.after.resize(rank - 1);
  for (size_t axis = 1; axis < rank; ++axis) {
    const int32_t stored = StoredAxis(rank, static_cast<int64_t>(axis));
    pad.before[stored] = static_cast<int32_t>(op.before[axis]);
    pad.after[stored] = static_cast<int32_t>(op.after[axis]);
  }
  pad.value = static_cast<uint16_t>(
      std::clamp(std::nearbyint(double(op.value) / params.scale) + params.zero_point, 0.0,
                 double(params.last_level())));
  const int32_t output = AddOutput(node);
  AddLayer(node, pad, {TensorOf(node.inputs[0])}, output);
  return {};
}

Status Builder::EmitOp(const ir::Node& node, const ir::Slice& op) {
  const size_t rank = graph_.values[node.output].shape.size();
  const int32_t output = AddOutput(node);
  AddLayer(node,
           artifact::Slice{StoredAxis(rank, op.axis), static_cast<int32_t>(op.start),
                           static_cast<int32_t>(op.step)},
           {TensorOf(node.inputs[0])}, output);
  return {};
}

int32_t Builder::EmitReshape(const ir::Node& node, int32_t input, const ir::Shape& from,
                             const ir::Shape& to) {
  const quant::TensorParams& params = ParamsOf(node.output);
  // An image whose channels, or whose pixels, are one alone is stored in [C, H, W] order already.
  const auto is_interleaved = [](const ir::Shape& shape) {
    return shape.size() == 4 && shape[1] > 1 && shape[2] * shape[3] > 1;
  };
  const auto planar = [](const ir::Shape& shape) {
    return std::vector<int32_t>(shape.begin() + 1, shape.end());
  };
  if (is_interleaved(from)) {
    input =
        AddHelper(node, "planar", artifact::Transpose{{2, 0, 1}}, {input}, planar(from), params);
  }
  if (is_interleaved(to)) {
    input = AddHelper(node, "reshape", artifact::Reshape{}, {input}, planar(to), params);
    const int32_t output = AddOutput(node);
    AddLayer(node, artifact::Transpose{{1, 2, 0}}, {input}, output);
    return output;
  }
  const int32_t output = AddOutput(node);
  AddLayer(node, artifact::Reshape{}, {input}, output);
  return output;
}

Status Builder::EmitOp(const ir::Node& node, const ir::Reshape&) {
  EmitReshape(node, TensorOf(node.inputs[0]), graph_.values[node.inputs[0]].shape,
              graph_.values[node.output].shape);
  return {};
}

Status Builder::EmitOp(const ir::Node& node, const ir::Permute& op) {
  const size_t rank = op.order.size();
  artifact::Transpose transpose;
  transpose.order.resize(rank - 1);
  for (size_t axis = 1; axis < rank; ++axis) {
    transpose.order[StoredAxis(rank, static_cast<int64_t>(axis))] =
        StoredAxis(rank, op.order[axis]);
  }
  const int32_t output = AddOutput(node);
  AddLayer(node, transpose, {TensorOf(node.inputs[0])}, output);
  return {};
}

Status Builder::EmitOp(const ir::Node& node, const ir::Softmax&) {
  const double scale = ParamsOf(node.inputs[0]).scale;
  std::vector<uint32_t> table(256);
  for (int distance = 0; distance < 256; ++distance) {
    table[distance] = static_cast<uint32_t>(std::nearbyint(std::exp(-distance * scale) * 0x1p24));
  }
  const artifact::Softmax softmax{lowered_.model.Own(std::move(table))};
  const int32_t output = AddOutput(node);
  AddLayer(node, softmax, {TensorOf(node.inputs[0])}, output);
  return {};
}

}  // namespace haq::lower
