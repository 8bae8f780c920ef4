#include "tests/unit/core/runtime/naive.h"

#include <algorithm>
#include <cstring>

#include "core/kernels/ref/definition.h"
#include "core/kernels/ref/definition_wide.h"

namespace haq::test {
namespace {

using artifact::Layer;
using artifact::Model;
using artifact::Tensor;

kernels::Dims DimsOf(const Tensor& tensor) {
  kernels::Dims dims;
  dims.rank = static_cast<int32_t>(tensor.shape.size());
  std::copy(tensor.shape.begin(), tensor.shape.end(), dims.size);
  return dims;
}

// The same of its bytes.
kernels::Dims ByteDimsOf(const Tensor& tensor) {
  kernels::Dims dims = DimsOf(tensor);
  if (tensor.type == artifact::DataType::kUint16) dims.size[dims.rank++] = 2;
  return dims;
}

struct Evaluator {
  const Model& model;
  const Layer& layer;
  std::vector<std::vector<uint8_t>>& values;

  const Tensor& in(size_t i = 0) const { return model.tensors[layer.inputs[i]]; }
  const Tensor& out() const { return model.tensors[layer.output]; }
  const uint8_t* x(size_t i = 0) const { return values[layer.inputs[i]].data(); }
  uint8_t* y() const { return values[layer.output].data(); }
  uint8_t zero(size_t i = 0) const { return static_cast<uint8_t>(in(i).zero_point); }

  template <typename Shape, typename Op>
  Shape Window(const Op& op) const {
    Shape s;
    s.in_h = in().shape[0], s.in_w = in().shape[1], s.in_c = in().shape[2];
    s.out_h = out().shape[0], s.out_w = out().shape[1], s.out_c = out().shape[2];
    s.kernel_h = op.kernel_h, s.kernel_w = op.kernel_w;
    s.stride_h = op.stride_h, s.stride_w = op.stride_w;
    s.dilation_h = op.dilation_h, s.dilation_w = op.dilation_w;
    s.pad_top = op.padding.top, s.pad_left = op.padding.left;
    return s;
  }
  kernels::PairShape Pair() const {
    const int64_t columns = in().shape.back();
    return {in().ElementCount() / columns, columns, in(0).shape == in(1).shape ? columns : 0};
  }

  template <typename Shape>
  Shape Pool(const artifact::PoolWindows& op) const {
    Shape s;
    s.in_h = in().shape[0], s.in_w = in().shape[1], s.channels = in().shape[2];
    s.out_h = out().shape[0], s.out_w = out().shape[1];
    s.row_begin = op.row_begin.data(), s.row_end = op.row_end.data();
    s.column_begin = op.column_begin.data(), s.column_end = op.column_end.data();
    s.counts = op.counts.empty() ? nullptr : op.counts.data();
    s.counts_size = static_cast<int32_t>(op.counts.size());
    return s;
  }
  static bool IsWide(const Tensor& tensor) { return tensor.type == artifact::DataType::kUint16; }
  kernels::wide::In WideX(size_t i = 0) const { return {x(i), IsWide(in(i))}; }
  kernels::wide::Out WideY() const { return {y(), IsWide(out())}; }

  void operator()(const artifact::WideConv2d& op) const {
    auto s = Window<kernels::wide::ConvShape>(op);
    s.groups = op.groups;
    s.input_zero = in().zero_point;
    kernels::wide::Residual residual;
    if (layer.inputs.size() == 2) {
      residual = {WideX(1), {op.residual_multiplier, in(1).zero_point}};
    }
    kernels::definition::WideConv2d(s, op.weight.data(), op.channels.data(),
                                    {out().zero_point, op.q_min}, residual, WideX(), WideY());
  }
  void operator()(const artifact::WideLinear& op) const {
    const kernels::LinearShape s{static_cast<int32_t>(in().ElementCount()),
                                 static_cast<int32_t>(out().ElementCount())};
    kernels::definition::WideLinear(s, op.weight.data(), op.channels.data(),
                                    {out().zero_point, op.q_min}, 1, WideX(), WideY());
  }
  void operator()(const artifact::WideAdd& op) const {
    kernels::definition::WideAdd(Pair(), op.requantize, WideX(0), WideX(1), WideY());
  }
  void operator()(const artifact::WideAvgPool2d& op) const {
    auto s = Pool<kernels::wide::AvgPoolShape>(op);
    s.input_zero = in().zero_point;
    s.by_count = op.by_count.data();
    kernels::definition::WideAvgPool(s, {out().zero_point, op.q_min}, WideX(), WideY());
  }
  void operator()(const artifact::Conv2d& op) const {
    auto s = Window<kernels::ConvShape>(op);
    s.groups = op.groups;
    s.input_zero = zero();
    kernels::Residual residual;
    if (layer.inputs.size() == 2) residual = {x(1), {op.residual_multiplier, zero(1)}};
    kernels::definition::Conv2d(s, op.weight.data(), op.channels.data(), op.requantize, residual,
                                x(), y());
  }
  void operator()(const artifact::Linear& op) const {
    const kernels::LinearShape s{static_cast<int32_t>(in().ElementCount()),
                                 static_cast<int32_t>(out().ElementCount())};
    kernels::definition::Linear(s, op.weight.data(), op.channels.data(), op.requantize, 1, x(),
                                y());
  }
  void operator()(const artifact::Add& op) const {
    kernels::definition::Add(Pair(), op.requantize, x(0), x(1), y());
  }
  void operator()(const artifact::Mul& op) const {
    kernels::definition::Mul(Pair(), zero(0), zero(1), op.requantize, op.channel, x(0), x(1), y());
  }
  void operator()(const artifact::Table& op) const {
    kernels::definition::Table(in().ElementCount(), op.table.data(), x(), y());
  }
  void operator()(const artifact::Concat& op) const {
    std::vector<kernels::Dims> dims;
    std::vector<const uint8_t*> pointers;
    for (size_t i = 0; i < layer.inputs.size(); ++i) {
      dims.push_back(ByteDimsOf(in(i)));
      pointers.push_back(x(i));
    }
    kernels::definition::Concat(static_cast<int32_t>(dims.size()), dims.data(), op.axis,
                                pointers.data(), y());
  }
  void operator()(const artifact::MaxPool2d& op) const {
    const auto s = Window<kernels::WindowShape>(op);
    if (IsWide(out())) return kernels::definition::WideMaxPool(s, WideX().words(), WideY().words());
    kernels::definition::MaxPool(s, x(), y());
  }
  void operator()(const artifact::AvgPool2d& op) const {
    auto s = Pool<kernels::AvgPoolShape>(op);
    s.input_zero = zero();
    s.by_count = op.by_count.data();
    kernels::definition::AvgPool(s, op.requantize, x(), y());
  }
  void operator()(const artifact::Pad& op) const {
    const kernels::Dims dims = DimsOf(in());
    if (IsWide(out())) {
      return kernels::definition::WidePad(dims, op.before.data(), op.after.data(), op.value,
                                          WideX().words(), WideY().words());
    }
    kernels::definition::Pad(dims, op.before.data(), op.after.data(),
                             static_cast<uint8_t>(op.value), x(), y());
  }
  void operator()(const artifact::Slice& op) const {
    kernels::definition::Slice(ByteDimsOf(in()), op.axis, op.start, op.step, out().shape[op.axis],
                               x(), y());
  }
  void operator()(const artifact::Transpose& op) const {
    std::vector<int32_t> order = op.order;
    order.push_back(static_cast<int32_t>(order.size()));  // the bytes of an element
    kernels::definition::Transpose(ByteDimsOf(in()), order.data(), x(), y());
  }
  void operator()(const artifact::Reshape&) const {
    values[layer.output] = values[layer.inputs[0]];
  }
  void operator()(const artifact::Softmax& op) const {
    const int64_t length = in().shape.back(), count = in().ElementCount();
    std::vector<uint16_t> p(count);
    kernels::definition::Softmax(count / length, length, op.table.data(), x(), p.data());
    std::memcpy(y(), p.data(), 2 * p.size());
  }
};

}  // namespace

std::vector<std::vector<uint8_t>> EvaluateNaively(const Model& model,
                                                  std::span<const uint8_t> input) {
  std::vector<std::vector<uint8_t>> values;
  for (const Tensor& tensor : model.tensors) {
    values.emplace_back(tensor.ElementCount() * artifact::LevelBytes(tensor.type));
  }
  values[model.input].assign(input.begin(), input.end());
  for (const Layer& layer : model.layers) std::visit(Evaluator{model, layer, values}, layer.op);
  return values;
}

}  // namespace haq::test
