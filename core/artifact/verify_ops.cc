#include "core/artifact/verify_ops.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>

#include "core/artifact/weight_sums.h"

namespace haq::artifact::internal {
namespace {

using fixedpoint::ChannelRequantize;
using fixedpoint::TensorRequantize;
using fixedpoint::WideChannel;
using Shape = std::vector<int32_t>;

// Strides, dilations, paddings and kernel sides: far above any network, small enough that positions
// fit int64 with room to spare.
constexpr int32_t kGeometryMax = 1 << 16;

Status CheckTensorRequantize(const TensorRequantize& r, int smallest_fraction_bits = 6) {
  if (r.fraction_bits < smallest_fraction_bits || r.fraction_bits > 7) {
    return DataLoss("fraction_bits {} is outside [{}, 7]", r.fraction_bits, smallest_fraction_bits);
  }
  if (r.output_offset < 0 || r.output_offset > 255) {
    return DataLoss("output_offset {} is outside [0, 255]", r.output_offset);
  }
  return {};
}

Status CheckChannel(const ChannelRequantize& r, const TensorRequantize& tensor) {
  if (r.multiplier < 1 << 14) {
    return DataLoss("multiplier {} is outside [2^14, 2^15)", r.multiplier);
  }
  if (r.shift < -15 || r.shift > 31) return DataLoss("shift {} is outside [-15, 31]", r.shift);
  if (tensor.q_min > r.q_max) return DataLoss("clamp [{}, {}] is empty", tensor.q_min, r.q_max);
  return {};
}

Status CheckChannels(Blob<ChannelRequantize> channels, int64_t expected,
                     const TensorRequantize& tensor) {
  if (static_cast<int64_t>(channels.size()) != expected) {
    return DataLoss("requantization of {} channels, {} needed", channels.size(), expected);
  }
  for (const ChannelRequantize& r : channels) HAQ_RETURN_IF_ERROR(CheckChannel(r, tensor));
  return {};
}

Status CheckClamp(int32_t q_min, int32_t q_max, const Tensor& output) {
  if (q_min <= q_max && q_max <= LastLevel(output.type)) return {};
  return DataLoss("clamp [{}, {}] is not a range within [0, {}]", q_min, q_max,
                  LastLevel(output.type));
}

Status CheckWideChannels(Blob<WideChannel> channels, int64_t expected, int32_t q_min,
                         const Tensor& output) {
  if (static_cast<int64_t>(channels.size()) != expected) {
    return DataLoss("requantization of {} channels, {} needed", channels.size(), expected);
  }
  constexpr int64_t kLargestBias = int64_t{1} << 60;
  for (const WideChannel& r : channels) {
    if (r.bias < -kLargestBias || r.bias > kLargestBias) {
      return DataLoss("bias {} is outside [-2^60, 2^60]", r.bias);
    }
    if (r.multiplier < 1 << 30) {
      return DataLoss("multiplier {} is outside [2^30, 2^31)", r.multiplier);
    }
    if (r.pre_shift < 0 || r.pre_shift > 26) {
      return DataLoss("pre_shift {} is outside [0, 26]", r.pre_shift);
    }
    if (r.shift < 2 || r.shift > 31) return DataLoss("shift {} is outside [2, 31]", r.shift);
    HAQ_RETURN_IF_ERROR(CheckClamp(q_min, r.q_max, output));
  }
  return {};
}

// One row of weights per channel. The sums of products without bias stay inside int32 as well:
// kernels may add the bias last. 16-bit inputs are added up by bytes.
Status CheckWeights(Blob<int8_t> weight, int64_t expected, int64_t channels) {
  if (static_cast<int64_t>(weight.size()) != expected) {
    return DataLoss("{} weights, {} needed", weight.size(), expected);
  }
  const int64_t depth = expected / channels;
  for (int64_t c = 0; c < channels; ++c) {
    const internal::WeightSums sums = internal::SumWeights(weight.subspan(c * depth, depth));
    if (sums.least == -128) return DataLoss("weight -128 is outside [-127, 127]");
    if (255 * std::max(-sums.negative, sums.positive) > std::numeric_limits<int32_t>::max()) {
      return DataLoss("the sum of channel {} can leave int32", c);
    }
  }
  return {};
}

Status CheckGeometry(std::string_view what, int32_t value, int32_t smallest) {
  if (value >= smallest && value <= kGeometryMax) return {};
  return DataLoss("{} {} is outside [{}, {}]", what, value, smallest, kGeometryMax);
}

// One axis of a sliding window.
struct Axis {
  int32_t in, out, kernel, stride, dilation, before, after;
};

Status CheckWindow(std::string_view axis, const Axis& w) {
  HAQ_RETURN_IF_ERROR(CheckGeometry("kernel", w.kernel, 1));
  HAQ_RETURN_IF_ERROR(CheckGeometry("stride", w.stride, 1));
  HAQ_RETURN_IF_ERROR(CheckGeometry("dilation", w.dilation, 1));
  HAQ_RETURN_IF_ERROR(CheckGeometry("padding", w.before, 0));
  HAQ_RETURN_IF_ERROR(CheckGeometry("padding", w.after, 0));
  const int64_t room =
      int64_t{w.in} + w.before + w.after - (int64_t{w.dilation} * (w.kernel - 1) + 1);
  if (room < 0 || room / w.stride + 1 != w.out) {
    return DataLoss(
        "{} output {} does not follow from input {}, kernel {}, stride {}, dilation "
        "{}, padding {} and {}",
        axis, w.out, w.in, w.kernel, w.stride, w.dilation, w.before, w.after);
  }
  return {};
}

// Cutting a window at the edge of the image must leave something of it.
Status CheckNoEmptyWindow(const Axis& w) {
  const int64_t last = int64_t{w.out - 1} * w.stride - w.before;
  const int64_t reach = int64_t{w.kernel - 1} * w.dilation - w.before;
  bool empty = last >= w.in || reach < 0;
  // Taps further apart than the image is long can step over it.
  if (w.dilation > w.in) {
    for (int64_t first = -int64_t{w.before}; first < 0 && first <= last; first += w.stride) {
      const int64_t skipped = (-first + w.dilation - 1) / w.dilation;
      empty = empty || first + skipped * w.dilation >= w.in;
    }
  }
  return empty ? DataLoss("a window lies outside of the image") : Status();
}

class OpVerifier {
 public:
  OpVerifier(const Model& model, const Layer& layer) : model_(model), layer_(layer) {}

  Status operator()(const Conv2d& op) const;
  Status operator()(const Linear& op) const;
  Status operator()(const Add& op) const;
  Status operator()(const Mul& op) const;
  Status operator()(const Table& op) const;
  Status operator()(const Concat& op) const;
  Status operator()(const MaxPool2d& op) const;
  Status operator()(const AvgPool2d& op) const;
  Status operator()(const Pad& op) const;
  Status operator()(const Slice& op) const;
  Status operator()(const Transpose& op) const;
  Status operator()(const Reshape& op) const;
  Status operator()(const Softmax& op) const;
  Status operator()(const WideConv2d& op) const;
  Status operator()(const WideLinear& op) const;
  Status operator()(const WideAdd& op) const;
  Status operator()(const WideAvgPool2d& op) const;

 private:
  const Tensor& input(size_t i = 0) const { return model_.tensors[layer_.inputs[i]]; }
  const Tensor& output() const { return model_.tensors[layer_.output]; }

  Status CheckInputs(size_t count) const {
    if (layer_.inputs.size() == count) return {};
    return DataLoss("{} inputs, {} needed", layer_.inputs.size(), count);
  }
  Status CheckInputs8(size_t count, DataType output_type = DataType::kUint8) const {
    HAQ_RETURN_IF_ERROR(CheckInputs(count));
    for (size_t i = 0; i < count; ++i) {
      if (input(i).type != DataType::kUint8) return Unsupported("input {} must have 8 bits", i);
    }
    if (output().type != output_type) return Unsupported("the output's data type is not supported");
    return {};
  }
  // The same levels mean the same values.
  Status CheckSameScale(size_t i = 0) const {
    if (input(i).type == output().type && input(i).scale == output().scale &&
        input(i).zero_point == output().zero_point) {
      return {};
    }
    return DataLoss("input {} and the output must share type, scale and zero point", i);
  }
  Status CheckImages() const {
    if (input().shape.size() == 3 && output().shape.size() == 3) return {};
    return DataLoss("input and output must be images of shape {{H, W, C}}");
  }
  Status CheckBroadcast() const;
  bool has_residual() const { return layer_.inputs.size() == 2; }
  Status CheckResidual(int64_t multiplier, int64_t multiplier_end) const;
  // Geometry and weights of a convolution, and a residual where there are two inputs.
  template <typename Conv>
  Status CheckConv(const Conv& op, int64_t multiplier_end) const;
  Status CheckPoolWindows(const PoolWindows& op, int64_t requantizations) const;

  const Model& model_;
  const Layer& layer_;
};

Status OpVerifier::CheckResidual(int64_t multiplier, int64_t multiplier_end) const {
  if (!has_residual()) {
    if (multiplier == 0) return {};
    return DataLoss("residual_multiplier {} without a residual", multiplier);
  }
  if (multiplier < 0 || multiplier >= multiplier_end) {
    return DataLoss("residual_multiplier {} is outside [0, {})", multiplier, multiplier_end);
  }
  if (input(1).shape == output().shape) return {};
  return DataLoss("the residual must have the output's shape");
}

template <typename Conv>
Status OpVerifier::CheckConv(const Conv& op, int64_t multiplier_end) const {
  HAQ_RETURN_IF_ERROR(CheckResidual(op.residual_multiplier, multiplier_end));
  HAQ_RETURN_IF_ERROR(CheckImages());
  const Shape &in = input().shape, &out = output().shape;
  HAQ_RETURN_IF_ERROR(CheckWindow("rows:", {in[0], out[0], op.kernel_h, op.stride_h, op.dilation_h,
                                            op.padding.top, op.padding.bottom}));
  HAQ_RETURN_IF_ERROR(CheckWindow("columns:", {in[1], out[1], op.kernel_w, op.stride_w,
                                               op.dilation_w, op.padding.left, op.padding.right}));
  if (op.groups < 1 || in[2] % op.groups != 0 || out[2] % op.groups != 0) {
    return DataLoss("{} groups do not divide {} input and {} output channels", op.groups, in[2],
                    out[2]);
  }
  // Each factor pair is bounded before the next multiplication.
  const int64_t window = int64_t{op.kernel_h} * op.kernel_w;
  const int64_t per_tap = int64_t{out[2]} * (in[2] / op.groups);
  if (window > static_cast<int64_t>(op.weight.size()) ||
      per_tap > static_cast<int64_t>(op.weight.size())) {
    return DataLoss("{} weights are too few", op.weight.size());
  }
  if (window > std::numeric_limits<int64_t>::max() / per_tap) {
    return DataLoss("{} weights are too few", op.weight.size());
  }
  return CheckWeights(op.weight, window * per_tap, out[2]);
}

Status OpVerifier::operator()(const Conv2d& op) const {
  HAQ_RETURN_IF_ERROR(CheckInputs8(has_residual() ? 2 : 1));
  HAQ_RETURN_IF_ERROR(CheckConv(op, 1 << 15));
  HAQ_RETURN_IF_ERROR(CheckTensorRequantize(op.requantize, has_residual() ? 4 : 6));
  return CheckChannels(op.channels, output().shape[2], op.requantize);
}

Status OpVerifier::operator()(const WideConv2d& op) const {
  HAQ_RETURN_IF_ERROR(CheckInputs(has_residual() ? 2 : 1));
  HAQ_RETURN_IF_ERROR(CheckConv(op, int64_t{1} << 45));
  return CheckWideChannels(op.channels, output().shape[2], op.q_min, output());
}

Status OpVerifier::operator()(const WideLinear& op) const {
  HAQ_RETURN_IF_ERROR(CheckInputs(1));
  const int64_t outputs = output().ElementCount();
  HAQ_RETURN_IF_ERROR(CheckWeights(op.weight, outputs * input().ElementCount(), outputs));
  return CheckWideChannels(op.channels, outputs, op.q_min, output());
}

Status OpVerifier::operator()(const Linear& op) const {
  HAQ_RETURN_IF_ERROR(CheckInputs8(1));
  const int64_t outputs = output().ElementCount();
  HAQ_RETURN_IF_ERROR(CheckWeights(op.weight, outputs * input().ElementCount(), outputs));
  HAQ_RETURN_IF_ERROR(CheckTensorRequantize(op.requantize));
  return CheckChannels(op.channels, outputs, op.requantize);
}

Status OpVerifier::CheckBroadcast() const {
  const Shape &a = input(0).shape, &b = input(1).shape;
  if (output().shape != a) return DataLoss("the output must have the shape of the first input");
  if (a == b) return {};
  Shape per_channel(a.size(), 1);
  per_channel.back() = a.back();
  if (b == per_channel) return {};
  return Unsupported("the second input must have the first one's shape or one value a channel");
}

Status OpVerifier::operator()(const Add& op) const {
  HAQ_RETURN_IF_ERROR(CheckInputs8(2));
  HAQ_RETURN_IF_ERROR(CheckBroadcast());
  const fixedpoint::AddRequantize& r = op.requantize;
  if (r.shift < 0 || r.shift > 30) return DataLoss("shift {} is outside [0, 30]", r.shift);
  if (r.q_min > r.q_max) return DataLoss("clamp [{}, {}] is empty", r.q_min, r.q_max);
  const int64_t products =
      255 * (std::abs(int64_t{r.multiplier_a}) + std::abs(int64_t{r.multiplier_b}));
  if (std::abs(int64_t{r.constant}) + products > std::numeric_limits<int32_t>::max()) {
    return DataLoss("the sum can leave int32");
  }
  return {};
}

Status OpVerifier::operator()(const WideAdd& op) const {
  HAQ_RETURN_IF_ERROR(CheckInputs(2));
  HAQ_RETURN_IF_ERROR(CheckBroadcast());
  const fixedpoint::WideAddRequantize& r = op.requantize;
  constexpr int64_t kLargestConstant = int64_t{1} << 61;
  if (r.multiplier_a < 0 || r.multiplier_b < 0) {
    return DataLoss("multipliers {} and {} are outside [0, 2^31)", r.multiplier_a, r.multiplier_b);
  }
  if (r.shift < 0 || r.shift > 40) return DataLoss("shift {} is outside [0, 40]", r.shift);
  if (r.constant < -kLargestConstant || r.constant > kLargestConstant) {
    return DataLoss("constant {} is outside [-2^61, 2^61]", r.constant);
  }
  return CheckClamp(r.q_min, r.q_max, output());
}

Status OpVerifier::operator()(const Mul& op) const {
  HAQ_RETURN_IF_ERROR(CheckInputs8(2));
  HAQ_RETURN_IF_ERROR(CheckBroadcast());
  HAQ_RETURN_IF_ERROR(CheckTensorRequantize(op.requantize));
  return CheckChannel(op.channel, op.requantize);
}

Status OpVerifier::operator()(const Table&) const {
  HAQ_RETURN_IF_ERROR(CheckInputs8(1));
  if (input().shape != output().shape) return DataLoss("input and output differ in shape");
  return {};
}

Status OpVerifier::operator()(const Concat& op) const {
  if (layer_.inputs.empty()) return DataLoss("no inputs");
  const Shape& out = output().shape;
  if (op.axis < 0 || op.axis >= static_cast<int32_t>(out.size())) {
    return DataLoss("axis {} is outside of rank {}", op.axis, out.size());
  }
  int64_t total = 0;
  for (size_t i = 0; i < layer_.inputs.size(); ++i) {
    HAQ_RETURN_IF_ERROR(CheckSameScale(i));
    Shape in = input(i).shape;
    if (in.size() != out.size()) return DataLoss("input {} has another rank", i);
    total += in[op.axis];
    in[op.axis] = out[op.axis];
    if (in != out) return DataLoss("input {} has another shape", i);
  }
  if (total != out[op.axis]) {
    return DataLoss("inputs have {} together along the axis, the output {}", total, out[op.axis]);
  }
  return {};
}

Status OpVerifier::operator()(const MaxPool2d& op) const {
  HAQ_RETURN_IF_ERROR(CheckInputs(1));
  HAQ_RETURN_IF_ERROR(CheckSameScale());
  HAQ_RETURN_IF_ERROR(CheckImages());
  const Shape &in = input().shape, &out = output().shape;
  if (in[2] != out[2]) return DataLoss("{} channels become {}", in[2], out[2]);
  const Axis rows{in[0],         out[0],         op.kernel_h,      op.stride_h,
                  op.dilation_h, op.padding.top, op.padding.bottom};
  const Axis columns{in[1],         out[1],          op.kernel_w,     op.stride_w,
                     op.dilation_w, op.padding.left, op.padding.right};
  HAQ_RETURN_IF_ERROR(CheckWindow("rows:", rows));
  HAQ_RETURN_IF_ERROR(CheckWindow("columns:", columns));
  HAQ_RETURN_IF_ERROR(CheckNoEmptyWindow(rows));
  return CheckNoEmptyWindow(columns);
}

// The lengths that occur among the windows of one axis.
Result<std::set<int64_t>> WindowLengths(Blob<int32_t> begin, Blob<int32_t> end, int32_t in,
                                        int32_t out) {
  if (static_cast<int64_t>(begin.size()) != out || static_cast<int64_t>(end.size()) != out) {
    return DataLoss("{} and {} window bounds, {} needed", begin.size(), end.size(), out);
  }
  std::set<int64_t> lengths;
  for (size_t i = 0; i < begin.size(); ++i) {
    if (begin[i] < 0 || begin[i] >= end[i] || end[i] > in) {
      return DataLoss("window [{}, {}) is not a part of [0, {})", begin[i], end[i], in);
    }
    lengths.insert(end[i] - begin[i]);
  }
  return lengths;
}

Status OpVerifier::CheckPoolWindows(const PoolWindows& op, int64_t requantizations) const {
  HAQ_RETURN_IF_ERROR(CheckImages());
  const Shape &in = input().shape, &out = output().shape;
  if (in[2] != out[2]) return DataLoss("{} channels become {}", in[2], out[2]);
  HAQ_ASSIGN_OR_RETURN(const std::set<int64_t> heights,
                       WindowLengths(op.row_begin, op.row_end, in[0], out[0]));
  HAQ_ASSIGN_OR_RETURN(const std::set<int64_t> widths,
                       WindowLengths(op.column_begin, op.column_end, in[1], out[1]));
  const int64_t needed = op.counts.empty() ? 1 : static_cast<int64_t>(op.counts.size());
  if (requantizations != needed) {
    return DataLoss("{} requantizations, {} needed", requantizations, needed);
  }
  if (op.counts.empty()) return {};
  if (std::adjacent_find(op.counts.begin(), op.counts.end(), std::greater_equal<>()) !=
          op.counts.end() ||
      op.counts.front() < 1) {
    return DataLoss("the window sizes are not positive and ascending");
  }
  for (const int64_t height : heights) {
    for (const int64_t width : widths) {
      if (!std::binary_search(op.counts.begin(), op.counts.end(), height * width)) {
        return DataLoss("no requantization for windows of {} elements", height * width);
      }
    }
  }
  return {};
}

Status OpVerifier::operator()(const AvgPool2d& op) const {
  HAQ_RETURN_IF_ERROR(CheckInputs8(1));
  const auto count = static_cast<int64_t>(op.by_count.size());
  HAQ_RETURN_IF_ERROR(CheckPoolWindows(op, count));
  HAQ_RETURN_IF_ERROR(CheckTensorRequantize(op.requantize));
  return CheckChannels(op.by_count, count, op.requantize);
}

Status OpVerifier::operator()(const WideAvgPool2d& op) const {
  HAQ_RETURN_IF_ERROR(CheckInputs(1));
  const auto count = static_cast<int64_t>(op.by_count.size());
  HAQ_RETURN_IF_ERROR(CheckPoolWindows(op, count));
  return CheckWideChannels(op.by_count, count, op.q_min, output());
}

Status OpVerifier::operator()(const Pad& op) const {
  HAQ_RETURN_IF_ERROR(CheckInputs(1));
  HAQ_RETURN_IF_ERROR(CheckSameScale());
  if (op.value > LastLevel(output().type)) {
    return DataLoss("value {} is outside [0, {}]", op.value, LastLevel(output().type));
  }
  const Shape &in = input().shape, &out = output().shape;
  if (op.before.size() != in.size() || op.after.size() != in.size() || out.size() != in.size()) {
    return DataLoss("paddings of {} and {} dimensions for rank {}", op.before.size(),
                    op.after.size(), in.size());
  }
  for (size_t i = 0; i < in.size(); ++i) {
    HAQ_RETURN_IF_ERROR(CheckGeometry("padding", op.before[i], 0));
    HAQ_RETURN_IF_ERROR(CheckGeometry("padding", op.after[i], 0));
    if (int64_t{in[i]} + op.before[i] + op.after[i] != out[i]) {
      return DataLoss("dimension {}: {} padded by {} and {} is not {}", i, in[i], op.before[i],
                      op.after[i], out[i]);
    }
  }
  return {};
}

Status OpVerifier::operator()(const Slice& op) const {
  HAQ_RETURN_IF_ERROR(CheckInputs(1));
  HAQ_RETURN_IF_ERROR(CheckSameScale());
  const Shape &in = input().shape, &out = output().shape;
  if (op.axis < 0 || op.axis >= static_cast<int32_t>(in.size()) || out.size() != in.size()) {
    return DataLoss("axis {} is outside of rank {}", op.axis, in.size());
  }
  if (op.start < 0) return DataLoss("start {} is negative", op.start);
  HAQ_RETURN_IF_ERROR(CheckGeometry("step", op.step, 1));
  const int64_t last = op.start + int64_t{op.step} * (out[op.axis] - 1);
  Shape expected = in;
  expected[op.axis] = out[op.axis];
  if (out != expected || last >= in[op.axis]) {
    return DataLoss("{} elements from {} by {} are not in the input", out[op.axis], op.start,
                    op.step);
  }
  return {};
}

Status OpVerifier::operator()(const Transpose& op) const {
  HAQ_RETURN_IF_ERROR(CheckInputs(1));
  HAQ_RETURN_IF_ERROR(CheckSameScale());
  const Shape &in = input().shape, &out = output().shape;
  std::vector<int32_t> sorted = op.order, identity(in.size());
  std::sort(sorted.begin(), sorted.end());
  std::iota(identity.begin(), identity.end(), 0);
  if (sorted != identity || out.size() != in.size()) {
    return DataLoss("the order is not a permutation of rank {}", in.size());
  }
  for (size_t i = 0; i < in.size(); ++i) {
    if (out[i] != in[op.order[i]]) return DataLoss("output dimension {} disagrees", i);
  }
  return {};
}

Status OpVerifier::operator()(const Reshape&) const {
  HAQ_RETURN_IF_ERROR(CheckInputs(1));
  HAQ_RETURN_IF_ERROR(CheckSameScale());
  if (input().ElementCount() == output().ElementCount()) return {};
  return DataLoss("{} elements become {}", input().ElementCount(), output().ElementCount());
}

Status OpVerifier::operator()(const Softmax& op) const {
  HAQ_RETURN_IF_ERROR(CheckInputs8(1, DataType::kUint16));
  if (input().shape != output().shape) return DataLoss("input and output differ in shape");
  if (output().zero_point != 0 || output().scale != 1.0f / 65535) {
    return DataLoss("the output must have scale 1/65535 and zero point 0");
  }
  if (op.table.size() != 256) return DataLoss("a table of {}, 256 needed", op.table.size());
  // The sum over a row is then in [2^24, 2^55], never 0.
  if (op.table[0] != 1u << 24 || !std::is_sorted(op.table.rbegin(), op.table.rend())) {
    return DataLoss("the table must start with 2^24 and not rise");
  }
  return {};
}

}  // namespace

Status VerifyOp(const Model& model, const Layer& layer) {
  return std::visit(OpVerifier(model, layer), layer.op);
}

}  // namespace haq::artifact::internal
