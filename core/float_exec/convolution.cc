#include "core/float_exec/kernels.h"

namespace haq::float_exec {

Kernel MakeConvolution(const ir::Conv2d& op) {
  // Channels last: oneDNN works on it without reordering activations between layers.
  const at::Tensor weight =
      ToTensor(op.weight.data, op.weight.shape).contiguous(at::MemoryFormat::ChannelsLast);
  at::Tensor bias;
  if (!op.bias.empty()) bias = ToTensor(op.bias, {static_cast<int64_t>(op.bias.size())});
  const ir::Padding2d& p = op.padding;
  // Only what both sides have can be the convolution's own padding.
  const std::array<int64_t, 2> padding{std::min(p.top, p.bottom), std::min(p.left, p.right)};
  const std::array<int64_t, 4> extra{p.left - padding[1], p.right - padding[1], p.top - padding[0],
                                     p.bottom - padding[0]};
  const bool one_sided = extra != std::array<int64_t, 4>{};
  return [weight, bias, padding, extra, one_sided, stride = op.stride, dilation = op.dilation,
          groups = op.groups](const std::vector<at::Tensor>& inputs, bool) {
    const at::Tensor x = one_sided ? at::constant_pad_nd(inputs[0], extra) : inputs[0];
    return at::mkldnn_convolution(x.contiguous(at::MemoryFormat::ChannelsLast), weight, bias,
                                  padding, stride, dilation, groups);
  };
}

}  // namespace haq::float_exec
