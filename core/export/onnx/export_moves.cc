// Layers that move values or look them up.
#include <algorithm>
#include <cmath>

#include "core/export/onnx/exporter.h"

namespace haq::to_onnx {

namespace {

using artifact::Layer;

// A change of scale: what reading with one and writing with the other does.
bool IsRequantization(const artifact::Table& op, const artifact::Tensor& x,
                      const artifact::Tensor& y) {
  for (int q = 0; q < 256; ++q) {
    const double level = double(x.scale) * (q - x.zero_point) / y.scale;
    if (std::clamp(std::nearbyint(level) + y.zero_point, 0.0, 255.0) != op.table[q]) return false;
  }
  return true;
}

bool IsMadeByATable(const artifact::Model& model, int32_t tensor) {
  return std::any_of(model.layers.begin(), model.layers.end(), [&](const Layer& layer) {
    return layer.output == tensor && std::holds_alternative<artifact::Table>(layer.op);
  });
}

}  // namespace

Status Exporter::Emit(const Layer& layer, const artifact::Table& op) {
  const int32_t x = layer.inputs[0], y = layer.output;
  // Behind a QuantizeLinear a change of scale is a table too: ONNX Runtime would make one pair of
  // two, with a scale of its own, and then leave the next convolution as floats.
  if (IsMadeByATable(model_, x) && IsRequantization(op, TensorAt(x), TensorAt(y))) {
    Finish(y, Real(x));
    return {};
  }
  // Of elements alone, so their order does not matter.
  Value value = values_[x];
  const std::string index = writer_.Node("Cast", {value.name}, layer.name + "_levels",
                                         {GraphWriter::Number("to", ::onnx::TensorProto::INT32)});
  value.name =
      writer_.Node("Gather", {writer_.Bytes(layer.name + "_table", {256}, op.table), index},
                   TensorAt(y).name + "_quantized", {GraphWriter::Number("axis", 0)});
  values_[y] = std::move(value);
  return {};
}

Status Exporter::Emit(const Layer& layer, const artifact::Concat& op) {
  std::vector<std::string> inputs;
  for (const int32_t input : layer.inputs) inputs.push_back(Real(input));
  const int64_t axis = NaturalAxis(TensorAt(layer.output), op.axis);
  Finish(layer.output,
         writer_.Node("Concat", inputs, layer.name, {GraphWriter::Number("axis", axis)}));
  return {};
}

Status Exporter::Emit(const Layer& layer, const artifact::MaxPool2d& op) {
  const artifact::Padding& p = op.padding;
  Finish(layer.output, writer_.Node("MaxPool", {Real(layer.inputs[0])}, layer.name,
                                    {{"kernel_shape", {op.kernel_h, op.kernel_w}},
                                     {"strides", {op.stride_h, op.stride_w}},
                                     {"dilations", {op.dilation_h, op.dilation_w}},
                                     {"pads", {p.top, p.left, p.bottom, p.right}}}));
  return {};
}

Status Exporter::Emit(const Layer& layer, const artifact::Pad& op) {
  const artifact::Tensor& x = TensorAt(layer.inputs[0]);
  const size_t rank = x.shape.size() + 1;
  std::vector<int64_t> pads(2 * rank, 0);
  for (size_t i = 0; i + 1 < rank; ++i) {
    const int64_t axis = NaturalAxis(x, static_cast<int32_t>(i));
    pads[axis] = op.before[i];
    pads[rank + axis] = op.after[i];
  }
  const auto value = static_cast<float>(double(x.scale) * (op.value - x.zero_point));
  Finish(layer.output,
         writer_.Node("Pad",
                      {Real(layer.inputs[0]), writer_.Int64(layer.name + "_pads", pads),
                       writer_.Floats(layer.name + "_value", {}, {value})},
                      layer.name));
  return {};
}

Status Exporter::Emit(const Layer& layer, const artifact::Slice& op) {
  const artifact::Tensor& y = TensorAt(layer.output);
  const int64_t count = y.shape[op.axis];
  const int64_t end = op.start + (count - 1) * op.step + 1;
  const auto number = [&](const char* name, int64_t value) {
    return writer_.Int64(layer.name + name, {value});
  };
  Finish(layer.output,
         writer_.Node("Slice",
                      {Real(layer.inputs[0]), number("_start", op.start), number("_end", end),
                       number("_axis", NaturalAxis(y, op.axis)), number("_step", op.step)},
                      layer.name));
  return {};
}

// Nothing moves until somebody needs the order.
Status Exporter::Emit(const Layer& layer, const artifact::Transpose& op) {
  Value value = values_[layer.inputs[0]];
  std::vector<int64_t> stored = {value.stored[0]};
  for (const int32_t dimension : op.order) stored.push_back(value.stored[dimension + 1]);
  value.stored = std::move(stored);
  values_[layer.output] = std::move(value);
  return {};
}

Status Exporter::Emit(const Layer& layer, const artifact::Reshape&) {
  const artifact::Tensor &x = TensorAt(layer.inputs[0]), &y = TensorAt(layer.output);
  std::vector<int64_t> as_stored;
  for (size_t i = 0; i <= x.shape.size(); ++i) as_stored.push_back(static_cast<int64_t>(i));
  std::vector<int64_t> target = {0};  // the batch as it is
  for (const int32_t dimension : y.shape) target.push_back(dimension);
  std::string real = writer_.Node(
      "Reshape", {Real(layer.inputs[0], as_stored), writer_.Int64(layer.name + "_shape", target)},
      layer.name);
  as_stored.clear();
  for (size_t i = 0; i <= y.shape.size(); ++i) as_stored.push_back(static_cast<int64_t>(i));
  Shape shape = target;
  shape[0] = 1;
  real = Arrange(real, shape, as_stored, Natural(y.shape.size()), layer.name + "_arranged");
  Finish(layer.output, real);
  return {};
}

Status Exporter::Emit(const Layer& layer, const artifact::Softmax&) {
  const artifact::Tensor& x = TensorAt(layer.inputs[0]);
  const int64_t axis = NaturalAxis(x, static_cast<int32_t>(x.shape.size()) - 1);
  Finish(layer.output, writer_.Node("Softmax", {Real(layer.inputs[0])}, layer.name,
                                    {GraphWriter::Number("axis", axis)}));
  return {};
}

}  // namespace haq::to_onnx
