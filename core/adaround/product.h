// Matrix products whose bits depend on the matrices alone. Private to core/adaround.
#pragma once

#include <torch/torch.h>

namespace haq::adaround {

// x [R, K] times the transpose of w [O, K]: [R, O]. Differentiable in w, not in x.
torch::Tensor Product(const torch::Tensor& x, const torch::Tensor& w);

}  // namespace haq::adaround
