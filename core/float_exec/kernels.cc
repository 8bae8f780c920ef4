#include "core/float_exec/kernels.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <limits>

#include "core/float_exec/dot_rows.h"
#include "core/float_exec/parallel.h"

namespace haq::float_exec {

namespace {

using Tensors = std::vector<at::Tensor>;

// Outputs of a linear layer that one thread computes at a time.
constexpr int64_t kLinearBlock = 16;

// A pair of ATen functions, one of them in place.
template <typename NewTensor, typename InPlace>
Kernel Elementwise(NewTensor make, InPlace overwrite) {
  return [make, overwrite](const Tensors& inputs, bool may_overwrite) -> at::Tensor {
    if (!may_overwrite) return make(inputs[0]);
    at::Tensor x = inputs[0];
    return overwrite(x);
  };
}

struct Maker {
  const ir::Shape& input;
  const ir::Shape& output;

  Kernel operator()(const ir::Conv2d& op) const { return MakeConvolution(op, input); }

  Kernel operator()(const ir::Linear& op) const {
    const at::Tensor weight = ToTensor(op.weight.data, op.weight.shape);
    at::Tensor bias;
    if (!op.bias.empty()) bias = ToTensor(op.bias, {static_cast<int64_t>(op.bias.size())});
    return [weight, bias](const Tensors& inputs, bool) {
      const at::Tensor x = inputs[0].contiguous();
      const int64_t depth = weight.size(1), outputs = weight.size(0), rows = x.numel() / depth;
      std::vector<int64_t> shape = x.sizes().vec();
      shape.back() = outputs;
      at::Tensor out = at::empty(shape, x.options());
      ParallelFor(at::get_num_threads(), (outputs + kLinearBlock - 1) / kLinearBlock,
                  [&](int64_t block) {
                    const int64_t first = block * kLinearBlock;
                    DotRows(weight.data_ptr<float>() + first * depth,
                            bias.defined() ? bias.data_ptr<float>() + first : nullptr,
                            std::min(kLinearBlock, outputs - first), depth, x.data_ptr<float>(),
                            rows, out.data_ptr<float>() + first, outputs);
                  });
      return out;
    };
  }

  Kernel operator()(const ir::ChannelAffine& op) const {
    std::vector<int64_t> per_channel(input.size(), 1);
    per_channel[1] = input[1];
    const at::Tensor scale = ToTensor(op.scale, per_channel);
    const at::Tensor shift = ToTensor(op.shift, per_channel);
    // Rounded twice either way, so that the bits do not depend on whose memory x is.
    return Elementwise([scale, shift](const at::Tensor& x) { return x.mul(scale).add_(shift); },
                       [scale, shift](at::Tensor& x) { return x.mul_(scale).add_(shift); });
  }

  Kernel operator()(const ir::Clamp& op) const {
    if (!op.channel_high.empty()) return MakeChannelClamp(op);
    if (op.low == 0 && op.high == std::numeric_limits<float>::infinity()) {
      return Elementwise([](const at::Tensor& x) { return at::relu(x); },
                         [](at::Tensor& x) { return at::relu_(x); });
    }
    return Elementwise([op](const at::Tensor& x) { return at::clamp(x, op.low, op.high); },
                       [op](at::Tensor& x) { return at::clamp_(x, op.low, op.high); });
  }

  Kernel MakeChannelClamp(const ir::Clamp& op) const {
    std::vector<int64_t> per_channel(input.size(), 1);
    per_channel[1] = input[1];
    const at::Tensor high = ToTensor(op.channel_high, per_channel);
    const float low = op.low;
    return Elementwise(
        [low, high](const at::Tensor& x) { return at::minimum(x.clamp_min(low), high); },
        [low, high](at::Tensor& x) {
          x.clamp_min_(low);
          return at::minimum_out(x, x, high);
        });
  }

  Kernel operator()(const ir::LeakyRelu& op) const {
    return Elementwise([op](const at::Tensor& x) { return at::leaky_relu(x, op.slope); },
                       [op](at::Tensor& x) { return at::leaky_relu_(x, op.slope); });
  }
  Kernel operator()(const ir::Sigmoid&) const {
    return Elementwise([](const at::Tensor& x) { return at::sigmoid(x); },
                       [](at::Tensor& x) { return at::sigmoid_(x); });
  }
  Kernel operator()(const ir::HardSigmoid&) const {
    return Elementwise([](const at::Tensor& x) { return at::hardsigmoid(x); },
                       [](at::Tensor& x) { return at::hardsigmoid_(x); });
  }
  Kernel operator()(const ir::Silu&) const {
    return Elementwise([](const at::Tensor& x) { return at::silu(x); },
                       [](at::Tensor& x) { return at::silu_(x); });
  }
  Kernel operator()(const ir::HardSwish&) const {
    return Elementwise([](const at::Tensor& x) { return at::hardswish(x); },
                       [](at::Tensor& x) { return at::hardswish_(x); });
  }
  Kernel operator()(const ir::Tanh&) const {
    return Elementwise([](const at::Tensor& x) { return at::tanh(x); },
                       [](at::Tensor& x) { return at::tanh_(x); });
  }

  Kernel operator()(const ir::Add&) const {
    return [](const Tensors& inputs, bool may_overwrite) {
      at::Tensor x = inputs[0];
      return may_overwrite ? x.add_(inputs[1]) : at::add(x, inputs[1]);
    };
  }
  Kernel operator()(const ir::Mul&) const {
    return [](const Tensors& inputs, bool may_overwrite) {
      at::Tensor x = inputs[0];
      return may_overwrite ? x.mul_(inputs[1]) : at::mul(x, inputs[1]);
    };
  }
  Kernel operator()(const ir::Concat& op) const {
    return [axis = op.axis](const Tensors& inputs, bool) { return at::cat(inputs, axis); };
  }
  Kernel operator()(const ir::MaxPool2d& op) const { return MakeMaxPool(op, input, output); }
  Kernel operator()(const ir::AvgPool2d& op) const { return MakeAvgPool(op, input); }

  Kernel operator()(const ir::Reshape&) const {
    std::vector<int64_t> shape = output;
    return [shape](const Tensors& inputs, bool) {
      std::vector<int64_t> batched = shape;
      batched[0] = inputs[0].size(0);
      return inputs[0].reshape(batched);
    };
  }
  Kernel operator()(const ir::Permute& op) const {
    return [order = op.order](const Tensors& inputs, bool) { return inputs[0].permute(order); };
  }
  Kernel operator()(const ir::Pad& op) const {
    std::vector<int64_t> amounts;  // the last dimension first
    for (size_t i = op.before.size(); i-- > 1;) {
      amounts.push_back(op.before[i]);
      amounts.push_back(op.after[i]);
    }
    return [amounts, value = op.value](const Tensors& inputs, bool) {
      return at::constant_pad_nd(inputs[0], amounts, value);
    };
  }
  Kernel operator()(const ir::Slice& op) const {
    const int64_t end = op.start + (output[op.axis] - 1) * op.step + 1;
    return [op, end](const Tensors& inputs, bool) {
      return inputs[0].slice(op.axis, op.start, end, op.step);
    };
  }
  Kernel operator()(const ir::Softmax& op) const {
    return [axis = op.axis](const Tensors& inputs, bool) { return at::softmax(inputs[0], axis); };
  }
};

}  // namespace

Kernel MakeKernel(const ir::Op& op, const ir::Shape& input, const ir::Shape& output) {
  return std::visit(Maker{input, output}, op);
}

at::Tensor ToTensor(const std::vector<float>& values, at::IntArrayRef shape) {
  return at::from_blob(const_cast<float*>(values.data()), shape, at::kFloat).clone();
}

}  // namespace haq::float_exec
