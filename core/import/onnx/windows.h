// Sliding windows as Conv and the pools describe them. Private to this folder.
#pragma once

#include <array>

#include "core/import/onnx/node_call.h"

namespace haq::import::from_onnx {

struct Windows {
  std::array<int64_t, 2> kernel, stride, dilation, before, after;
  std::array<int64_t, 2> outputs;
  bool ceil_mode = false;
};

// Reads kernel_shape (or `kernel` where the weights say it), strides, dilations, pads, auto_pad and
// ceil_mode for an input of [N, C, H, W]. The paddings are those that auto_pad means.
Result<Windows> ReadWindows(const NodeCall& call, const ir::Shape& input,
                            std::vector<int64_t> kernel);

}  // namespace haq::import::from_onnx
