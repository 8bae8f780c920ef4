#include "core/adaround/product.h"

namespace haq::adaround {
namespace {

// LibTorch's matrix products go to the BLAS library, whose own threads at::set_num_threads does not
// govern, and which cuts sums differently when it has several. 1x1 convolutions go to oneDNN, which
// obeys; they are also faster.
torch::Tensor Pointwise(const torch::Tensor& image, const torch::Tensor& weight) {
  if (!at::hasMKLDNN()) return at::conv2d(image, weight);
  return at::mkldnn_convolution(image, weight, {}, {0, 0}, {1, 1}, {1, 1}, 1);
}

struct ProductFunction : torch::autograd::Function<ProductFunction> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& w) {
    context->save_for_backward({x});
    const int64_t rows = x.size(0), inputs = x.size(1), outputs = w.size(0);
    // One image of R pixels with K channels, channels last.
    const torch::Tensor image = x.view({1, rows, 1, inputs}).permute({0, 3, 1, 2});
    return Pointwise(image, w.reshape({outputs, inputs, 1, 1}))
        .permute({0, 2, 3, 1})
        .reshape({rows, outputs});
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const torch::Tensor x = context->get_saved_variables()[0];
    const int64_t rows = x.size(0), inputs = x.size(1), outputs = gradients[0].size(1);
    // One image of K pixels with R channels.
    const torch::Tensor weight = gradients[0].t().contiguous().view({outputs, rows, 1, 1});
    const torch::Tensor gradient = Pointwise(x.view({1, rows, inputs, 1}), weight);
    return {torch::Tensor(), gradient.contiguous().view({outputs, inputs})};
  }
};

}  // namespace

torch::Tensor Product(const torch::Tensor& x, const torch::Tensor& w) {
  return ProductFunction::apply(x, w);
}

}  // namespace haq::adaround
