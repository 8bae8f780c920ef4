// Sliding windows as Conv and the pools describe them. Private to this folder.
#pragma once

#include "core/import/images/pooling.h"
#include "core/import/onnx/node_call.h"

namespace haq::import::from_onnx {

// Reads kernel_shape (or `kernel` where the weights say it), strides, dilations, pads, auto_pad and
// ceil_mode for an input of [N, C, H, W]. The paddings are those that auto_pad means.
Result<Windows> ReadWindows(const NodeCall& call, const ir::Shape& input,
                            std::vector<int64_t> kernel);

}  // namespace haq::import::from_onnx
