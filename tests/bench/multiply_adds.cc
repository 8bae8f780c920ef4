#include "tests/bench/multiply_adds.h"

namespace haq::bench {

int64_t MultiplyAdds(const artifact::Model& model, const artifact::Layer& layer) {
  const artifact::Tensor& output = model.tensors[layer.output];
  if (const auto* conv = std::get_if<artifact::Conv2d>(&layer.op)) {
    const auto weights = static_cast<int64_t>(conv->weight.size());
    return output.ElementCount() * (weights / output.shape[2]);
  }
  if (const auto* linear = std::get_if<artifact::Linear>(&layer.op)) {
    return static_cast<int64_t>(linear->weight.size());
  }
  return 0;
}

int64_t MultiplyAdds(const artifact::Model& model) {
  int64_t sum = 0;
  for (const artifact::Layer& layer : model.layers) sum += MultiplyAdds(model, layer);
  return sum;
}

}  // namespace haq::bench
