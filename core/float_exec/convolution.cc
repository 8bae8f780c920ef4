#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>

#include "core/float_exec/kernels.h"

namespace haq::float_exec {

namespace {

// A convolution on channels-last activations whose weights are in oneDNN's own layout: reordering
// them at every call costs up to half of a layer's time at batch 1.
class PackedConvolution {
 public:
  // False when this LibTorch was built without oneDNN.
  static bool IsAvailable() { return Prepack().has_value() && RunOperator().has_value(); }

  PackedConvolution(const at::Tensor& weight, const at::Tensor& bias,
                    const std::array<int64_t, 2>& stride, const std::array<int64_t, 2>& padding,
                    const std::array<int64_t, 2>& dilation, int64_t groups,
                    const std::vector<int64_t>& input_shape) {
    c10::optional<at::Tensor> optional_bias;
    if (bias.defined()) optional_bias = bias;
    torch::jit::Stack stack{weight,   optional_bias, stride,      padding,
                            dilation, groups,        input_shape, "none"};
    Prepack()->callBoxed(&stack);
    context_ = stack[0];
  }

  at::Tensor Run(const at::Tensor& x) const {
    torch::jit::Stack stack{x, context_};
    RunOperator()->callBoxed(&stack);
    return stack[0].toTensor();
  }

 private:
  static const c10::optional<c10::OperatorHandle>& Prepack() {
    static const auto kHandle =
        c10::Dispatcher::singleton().findSchema({"mkldnn_prepacked::conv2d_prepack", ""});
    return kHandle;
  }
  static const c10::optional<c10::OperatorHandle>& RunOperator() {
    static const auto kHandle =
        c10::Dispatcher::singleton().findSchema({"mkldnn_prepacked::conv2d_run", ""});
    return kHandle;
  }

  c10::IValue context_;
};

// A convolution without one-sided padding: what both sides have is its own, `extra` is padded
// before it.
struct EvenPadding {
  at::Tensor weight;
  std::array<int64_t, 2> padding;
  std::array<int64_t, 4> extra;  // left, right, top, bottom, as ATen counts
};

EvenPadding PadBefore(const ir::Conv2d& op) {
  const ir::Padding2d& p = op.padding;
  const std::array<int64_t, 2> padding{std::min(p.top, p.bottom), std::min(p.left, p.right)};
  return {ToTensor(op.weight.data, op.weight.shape),
          padding,
          {p.left - padding[1], p.right - padding[1], p.top - padding[0], p.bottom - padding[0]}};
}

// Pads both sides as far as the wider one, and lengthens the kernel by zeros that lie on what was
// added: the same sums. Only where the sides' difference is a whole number of taps.
std::optional<EvenPadding> PadWeights(const ir::Conv2d& op) {
  const ir::Padding2d& p = op.padding;
  const std::array<int64_t, 2> before{p.top, p.left}, after{p.bottom, p.right};
  EvenPadding even{ToTensor(op.weight.data, op.weight.shape), {}, {}};
  std::array<int64_t, 4> taps{};
  for (int i = 0; i < 2; ++i) {
    const int64_t difference = after[i] - before[i];
    if (difference % op.dilation[i] != 0) return std::nullopt;
    even.padding[i] = std::max(before[i], after[i]);
    taps[(1 - i) * 2 + (difference < 0)] = std::abs(difference) / op.dilation[i];
  }
  even.weight = at::constant_pad_nd(even.weight, taps);
  return even;
}

// A depthwise convolution is so little work that moving its input to a padded place costs more than
// a row of zeros in its kernel.
EvenPadding MakeEven(const ir::Conv2d& op, const ir::Shape& input) {
  if (op.groups == input[1]) {
    if (auto even = PadWeights(op)) return *std::move(even);
  }
  return PadBefore(op);
}

}  // namespace

Kernel MakeConvolution(const ir::Conv2d& op, const ir::Shape& input) {
  const EvenPadding even = MakeEven(op, input);
  const at::Tensor weight = even.weight.contiguous(at::MemoryFormat::ChannelsLast);
  at::Tensor bias;
  if (!op.bias.empty()) bias = ToTensor(op.bias, {static_cast<int64_t>(op.bias.size())});
  const std::array<int64_t, 4> extra = even.extra;
  const bool pads = extra != std::array<int64_t, 4>{};
  const auto prepare = [extra, pads](const at::Tensor& x) {
    return (pads ? at::constant_pad_nd(x, extra) : x).contiguous(at::MemoryFormat::ChannelsLast);
  };
  if (!PackedConvolution::IsAvailable()) {
    return [=, padding = even.padding, stride = op.stride, dilation = op.dilation,
            groups = op.groups](const std::vector<at::Tensor>& inputs, bool) {
      return at::conv2d(prepare(inputs[0]), weight, bias, stride, padding, dilation, groups);
    };
  }
  const std::vector<int64_t> padded{1, input[1], input[2] + extra[2] + extra[3],
                                    input[3] + extra[0] + extra[1]};
  const PackedConvolution packed(weight, bias, op.stride, even.padding, op.dilation, op.groups,
                                 padded);
  return [prepare, packed](const std::vector<at::Tensor>& inputs, bool) {
    return packed.Run(prepare(inputs[0]));
  };
}

}  // namespace haq::float_exec
