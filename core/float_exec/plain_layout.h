// Private to this folder.
#pragma once

#include <ATen/ATen.h>

namespace haq::float_exec {

// The tensor in row-major order of its shape: itself when it is that already. Faster than
// contiguous() for channels-last images.
at::Tensor PlainLayout(const at::Tensor& tensor);

}  // namespace haq::float_exec
