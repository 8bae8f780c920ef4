#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "core/ir/graph.h"

namespace haq::ir {

namespace {

// Far above any real network, far below what could overflow when two attributes are multiplied.
constexpr int64_t kMaxAttribute = int64_t{1} << 20;

Status CheckRank(const Shape& shape, size_t rank) {
  if (shape.size() == rank) return {};
  return InvalidArgument("input has shape {}, needs {} dimensions", ShapeToString(shape), rank);
}

Status CheckAxis(int64_t axis, const Shape& shape) {
  if (axis >= 1 && axis < static_cast<int64_t>(shape.size())) return {};
  return InvalidArgument("axis {} is not one of 1..{} for shape {}", axis,
                         static_cast<int64_t>(shape.size()) - 1, ShapeToString(shape));
}

Status CheckAttribute(std::string_view name, int64_t value, int64_t least) {
  if (value >= least && value <= kMaxAttribute) return {};
  return InvalidArgument("{} is {}, allowed are {}..{}", name, value, least, kMaxAttribute);
}

Status CheckFinite(std::string_view name, const std::vector<float>& values) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) return InvalidArgument("{}[{}] is {}", name, i, values[i]);
  }
  return {};
}

Status CheckConstant(std::string_view name, const Constant& constant, size_t rank) {
  if (constant.shape.size() != rank) {
    return InvalidArgument("{} has shape {}, needs {} dimensions", name,
                           ShapeToString(constant.shape), rank);
  }
  const Result<int64_t> count = ElementCount(constant.shape);
  if (!count.ok()) return count.status().WithContext(name);
  if (static_cast<size_t>(*count) != constant.data.size()) {
    return InvalidArgument("{} of shape {} has {} values", name, ShapeToString(constant.shape),
                           constant.data.size());
  }
  return CheckFinite(name, constant.data);
}

Status CheckBias(const std::vector<float>& bias, int64_t channels) {
  if (!bias.empty() && static_cast<int64_t>(bias.size()) != channels) {
    return InvalidArgument("bias has {} values for {} output channels", bias.size(), channels);
  }
  return CheckFinite("bias", bias);
}

Status CheckPadding(const Padding2d& padding) {
  HAQ_RETURN_IF_ERROR(CheckAttribute("padding.top", padding.top, 0));
  HAQ_RETURN_IF_ERROR(CheckAttribute("padding.left", padding.left, 0));
  HAQ_RETURN_IF_ERROR(CheckAttribute("padding.bottom", padding.bottom, 0));
  return CheckAttribute("padding.right", padding.right, 0);
}

// The sliding window along one dimension.
struct Window {
  std::string_view dimension;
  int64_t size, kernel, stride, dilation, before, after;

  int64_t span() const { return dilation * (kernel - 1) + 1; }

  Result<int64_t> Outputs() const {
    HAQ_RETURN_IF_ERROR(CheckAttribute(fmt::format("kernel {}", dimension), kernel, 1));
    HAQ_RETURN_IF_ERROR(CheckAttribute(fmt::format("stride {}", dimension), stride, 1));
    HAQ_RETURN_IF_ERROR(CheckAttribute(fmt::format("dilation {}", dimension), dilation, 1));
    const int64_t padded = size + before + after;
    if (padded < span()) {
      return InvalidArgument("kernel {} spans {}, the padded input has only {}", dimension, span(),
                             padded);
    }
    return (padded - span()) / stride + 1;
  }

  // A maximum over no element at all has no value.
  Status CheckNoWindowIsEmpty(int64_t outputs) const {
    const auto reads_something = [&](int64_t start) {
      const int64_t first =
          start >= 0 ? start : start + (-start + dilation - 1) / dilation * dilation;
      return first < size && first < start + span();
    };
    bool good = reads_something((outputs - 1) * stride - before);
    for (int64_t i = 0; i < outputs && i * stride < before; ++i) {
      good = good && reads_something(i * stride - before);
    }
    if (good) return {};
    return InvalidArgument("padding {} leaves a window without any element of the input",
                           dimension);
  }
};

Window RowWindow(const Shape& x, int64_t kernel, int64_t stride, int64_t dilation,
                 const Padding2d& padding) {
  return {"rows", x[2], kernel, stride, dilation, padding.top, padding.bottom};
}
Window ColumnWindow(const Shape& x, int64_t kernel, int64_t stride, int64_t dilation,
                    const Padding2d& padding) {
  return {"columns", x[3], kernel, stride, dilation, padding.left, padding.right};
}

Status CheckClamp(float low, float high) {
  if (low <= high && low < std::numeric_limits<float>::infinity() &&
      high > -std::numeric_limits<float>::infinity()) {
    return {};
  }
  return InvalidArgument("clamp to [{}, {}]", low, high);
}

// One overload per operator that has something to check; InferShape has checked the number of
// inputs and that each has a batch of 1 and a sane size.
struct Inference {
  const std::vector<Shape>& inputs;
  const Shape& declared;
  const Shape& x() const { return inputs[0]; }

  Result<Shape> operator()(const Conv2d& op) const {
    HAQ_RETURN_IF_ERROR(CheckRank(x(), 4));
    HAQ_RETURN_IF_ERROR(CheckConstant("weight", op.weight, 4));
    HAQ_RETURN_IF_ERROR(CheckPadding(op.padding));
    const Shape& weight = op.weight.shape;
    HAQ_RETURN_IF_ERROR(CheckAttribute("groups", op.groups, 1));
    if (weight[0] % op.groups != 0 || x()[1] % op.groups != 0) {
      return InvalidArgument("groups {} does not divide {} input and {} output channels", op.groups,
                             x()[1], weight[0]);
    }
    if (weight[1] != x()[1] / op.groups) {
      return InvalidArgument("weight {} with groups {} needs {} input channels, the input is {}",
                             ShapeToString(weight), op.groups, weight[1] * op.groups,
                             ShapeToString(x()));
    }
    HAQ_RETURN_IF_ERROR(CheckBias(op.bias, weight[0]));
    HAQ_ASSIGN_OR_RETURN(
        const int64_t rows,
        RowWindow(x(), weight[2], op.stride[0], op.dilation[0], op.padding).Outputs());
    HAQ_ASSIGN_OR_RETURN(
        const int64_t columns,
        ColumnWindow(x(), weight[3], op.stride[1], op.dilation[1], op.padding).Outputs());
    return Shape{1, weight[0], rows, columns};
  }

  Result<Shape> operator()(const Linear& op) const {
    HAQ_RETURN_IF_ERROR(CheckConstant("weight", op.weight, 2));
    if (x().size() < 2 || x().back() != op.weight.shape[1]) {
      return InvalidArgument("weight {} needs {} values in the input's last dimension, it is {}",
                             ShapeToString(op.weight.shape), op.weight.shape[1],
                             ShapeToString(x()));
    }
    HAQ_RETURN_IF_ERROR(CheckBias(op.bias, op.weight.shape[0]));
    Shape output = x();
    output.back() = op.weight.shape[0];
    return output;
  }

  Result<Shape> operator()(const ChannelAffine& op) const {
    const auto channels = x().size() < 2 ? size_t{0} : static_cast<size_t>(x()[1]);
    if (op.scale.size() != channels || op.shift.size() != channels || channels == 0) {
      return InvalidArgument("{} scales and {} shifts for an input of shape {}", op.scale.size(),
                             op.shift.size(), ShapeToString(x()));
    }
    HAQ_RETURN_IF_ERROR(CheckFinite("scale", op.scale));
    HAQ_RETURN_IF_ERROR(CheckFinite("shift", op.shift));
    return x();
  }

  Result<Shape> operator()(const Clamp& op) const {
    if (op.channel_high.empty()) {
      HAQ_RETURN_IF_ERROR(CheckClamp(op.low, op.high));
      return x();
    }
    const auto channels = x().size() < 2 ? size_t{0} : static_cast<size_t>(x()[1]);
    if (op.channel_high.size() != channels) {
      return InvalidArgument("{} upper ends for an input of shape {}", op.channel_high.size(),
                             ShapeToString(x()));
    }
    for (size_t c = 0; c < channels; ++c) {
      HAQ_RETURN_IF_ERROR(
          CheckClamp(op.low, op.channel_high[c]).WithContext(fmt::format("channel {}", c)));
    }
    return x();
  }

  Result<Shape> operator()(const LeakyRelu& op) const {
    if (!std::isfinite(op.slope)) return InvalidArgument("slope is {}", op.slope);
    return x();
  }

  Result<Shape> operator()(const Sigmoid&) const { return x(); }
  Result<Shape> operator()(const HardSigmoid&) const { return x(); }
  Result<Shape> operator()(const Silu&) const { return x(); }
  Result<Shape> operator()(const HardSwish&) const { return x(); }
  Result<Shape> operator()(const Tanh&) const { return x(); }
  Result<Shape> operator()(const Add&) const { return Broadcast(); }
  Result<Shape> operator()(const Mul&) const { return Broadcast(); }

  Result<Shape> Broadcast() const {
    const Shape &a = inputs[0], &b = inputs[1];
    if (a == b) return a;
    const auto is_per_channel = [](const Shape& small, const Shape& large) {
      return small.size() == 4 && large.size() == 4 && small[1] == large[1] && small[2] == 1 &&
             small[3] == 1;
    };
    if (is_per_channel(b, a)) return a;
    if (is_per_channel(a, b)) return b;
    return InvalidArgument("shapes {} and {} are neither equal nor one of them [N, C, 1, 1]",
                           ShapeToString(a), ShapeToString(b));
  }

  Result<Shape> operator()(const Concat& op) const {
    HAQ_RETURN_IF_ERROR(CheckAxis(op.axis, x()));
    Shape output = x();
    for (size_t i = 1; i < inputs.size(); ++i) {
      Shape other = inputs[i];
      if (other.size() != output.size()) {
        return InvalidArgument("input {} has shape {}, input 0 {}", i, ShapeToString(other),
                               ShapeToString(x()));
      }
      const int64_t added = other[op.axis];
      other[op.axis] = output[op.axis];
      if (other != output) {
        return InvalidArgument("input {} has shape {}, which does not fit {} along axis {}", i,
                               ShapeToString(inputs[i]), ShapeToString(x()), op.axis);
      }
      output[op.axis] += added;
      HAQ_RETURN_IF_ERROR(ElementCount(output).status());
    }
    return output;
  }

  Result<Shape> operator()(const MaxPool2d& op) const {
    HAQ_RETURN_IF_ERROR(CheckRank(x(), 4));
    HAQ_RETURN_IF_ERROR(CheckPadding(op.padding));
    const Window rows = RowWindow(x(), op.kernel[0], op.stride[0], op.dilation[0], op.padding);
    const Window columns =
        ColumnWindow(x(), op.kernel[1], op.stride[1], op.dilation[1], op.padding);
    HAQ_ASSIGN_OR_RETURN(const int64_t height, rows.Outputs());
    HAQ_ASSIGN_OR_RETURN(const int64_t width, columns.Outputs());
    HAQ_RETURN_IF_ERROR(rows.CheckNoWindowIsEmpty(height));
    HAQ_RETURN_IF_ERROR(columns.CheckNoWindowIsEmpty(width));
    return Shape{1, x()[1], height, width};
  }

  static Status CheckWindows(std::string_view name, const std::vector<int64_t>& begin,
                             const std::vector<int64_t>& end, int64_t size) {
    if (begin.size() != end.size() || begin.empty()) {
      return InvalidArgument("{} beginnings and {} ends of {}", begin.size(), end.size(), name);
    }
    for (size_t i = 0; i < begin.size(); ++i) {
      if (begin[i] < 0 || begin[i] >= end[i] || end[i] > size) {
        return InvalidArgument("window {} of {} is [{}, {}) of {}", i, name, begin[i], end[i],
                               size);
      }
    }
    return {};
  }

  Result<Shape> operator()(const AvgPool2d& op) const {
    HAQ_RETURN_IF_ERROR(CheckRank(x(), 4));
    HAQ_RETURN_IF_ERROR(CheckWindows("rows", op.row_begin, op.row_end, x()[2]));
    HAQ_RETURN_IF_ERROR(CheckWindows("columns", op.column_begin, op.column_end, x()[3]));
    if (op.divisor < 0) return InvalidArgument("divisor is {}", op.divisor);
    return Shape{1, x()[1], static_cast<int64_t>(op.row_begin.size()),
                 static_cast<int64_t>(op.column_begin.size())};
  }

  Result<Shape> operator()(const Reshape&) const {
    HAQ_ASSIGN_OR_RETURN(const int64_t before, ElementCount(x()));
    HAQ_ASSIGN_OR_RETURN(const int64_t after, ElementCount(declared));
    if (declared.empty() || declared[0] != 1 || before != after) {
      return InvalidArgument("{} cannot be reshaped to {}", ShapeToString(x()),
                             ShapeToString(declared));
    }
    return declared;
  }

  Result<Shape> operator()(const Permute& op) const {
    std::vector<int64_t> sorted = op.order;
    std::sort(sorted.begin(), sorted.end());
    bool good = sorted.size() == x().size() && op.order[0] == 0;
    for (size_t i = 0; i < sorted.size(); ++i) good = good && sorted[i] == static_cast<int64_t>(i);
    if (!good) {
      return InvalidArgument("order [{}] does not permute the dimensions after the batch of {}",
                             fmt::join(op.order, ", "), ShapeToString(x()));
    }
    Shape output;
    for (const int64_t dimension : op.order) output.push_back(x()[dimension]);
    return output;
  }

  Result<Shape> operator()(const Pad& op) const {
    if (op.before.size() != x().size() || op.after.size() != x().size() || op.before[0] != 0 ||
        op.after[0] != 0) {
      return InvalidArgument("padding [{}], [{}] does not fit the dimensions after the batch of {}",
                             fmt::join(op.before, ", "), fmt::join(op.after, ", "),
                             ShapeToString(x()));
    }
    if (!std::isfinite(op.value)) return InvalidArgument("value is {}", op.value);
    Shape output = x();
    for (size_t i = 0; i < output.size(); ++i) {
      HAQ_RETURN_IF_ERROR(CheckAttribute(fmt::format("before[{}]", i), op.before[i], 0));
      HAQ_RETURN_IF_ERROR(CheckAttribute(fmt::format("after[{}]", i), op.after[i], 0));
      output[i] += op.before[i] + op.after[i];
    }
    return output;
  }

  Result<Shape> operator()(const Slice& op) const {
    HAQ_RETURN_IF_ERROR(CheckAxis(op.axis, x()));
    HAQ_RETURN_IF_ERROR(CheckAttribute("step", op.step, 1));
    Shape output = x();
    if (declared.size() != output.size()) {
      return InvalidArgument("{} cannot be a slice of {}", ShapeToString(declared),
                             ShapeToString(x()));
    }
    const int64_t size = x()[op.axis], count = declared[op.axis];
    if (op.start < 0 || op.start >= size || count < 1 ||
        count > (size - op.start - 1) / op.step + 1) {
      return InvalidArgument("{} elements from {} in steps of {} of axis {} of {}", count, op.start,
                             op.step, op.axis, ShapeToString(x()));
    }
    output[op.axis] = count;
    return output;
  }

  Result<Shape> operator()(const Softmax& op) const {
    HAQ_RETURN_IF_ERROR(CheckAxis(op.axis, x()));
    return x();
  }
};

Status CheckArity(const Op& op, size_t inputs) {
  if (std::holds_alternative<Concat>(op)) {
    return inputs >= 1 ? Status() : InvalidArgument("no inputs");
  }
  const size_t needed = std::holds_alternative<Add>(op) || std::holds_alternative<Mul>(op) ? 2 : 1;
  if (inputs == needed) return {};
  return InvalidArgument("{} inputs instead of {}", inputs, needed);
}

}  // namespace

Result<Shape> InferShape(const Op& op, const std::vector<Shape>& inputs, const Shape& declared) {
  HAQ_RETURN_IF_ERROR(CheckArity(op, inputs.size()).WithContext(OpName(op)));
  for (const Shape& input : inputs) {
    if (input.empty() || input[0] != 1) {
      return InvalidArgument("{}: input shape {} has no batch of 1", OpName(op),
                             ShapeToString(input));
    }
    if (const auto count = ElementCount(input); !count.ok()) {
      return count.status().WithContext(OpName(op));
    }
  }
  Result<Shape> output = std::visit(Inference{inputs, declared}, op);
  if (!output.ok()) return output.status().WithContext(OpName(op));
  if (const auto count = ElementCount(*output); !count.ok()) {
    return count.status().WithContext(OpName(op));
  }
  return output;
}

}  // namespace haq::ir
