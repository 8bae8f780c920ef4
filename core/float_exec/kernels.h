// The operators of the graph on ATen tensors. Private to this folder.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <vector>

#include "core/ir/graph.h"

namespace haq::float_exec {

// Inputs are [n, ...]. With `may_overwrite` the memory of the first input is not needed any more
// and may become the output's.
using Kernel = std::function<at::Tensor(const std::vector<at::Tensor>& inputs, bool may_overwrite)>;

// An operator made ready to run: weights as tensors, windows recognized. `input` and `output` are
// shapes of the first input and of the output with a batch of 1. The kernel does not refer to `op`
// afterwards. Throws what LibTorch throws.
Kernel MakeKernel(const ir::Op& op, const ir::Shape& input, const ir::Shape& output);

// The families that have a file of their own.
Kernel MakeConvolution(const ir::Conv2d& op, const ir::Shape& input);
Kernel MakeMaxPool(const ir::MaxPool2d& op, const ir::Shape& input, const ir::Shape& output);
Kernel MakeAvgPool(const ir::AvgPool2d& op, const ir::Shape& input);

// A copy of `values` as a tensor of that shape.
at::Tensor ToTensor(const std::vector<float>& values, at::IntArrayRef shape);

}  // namespace haq::float_exec
