#include "tests/bench/multiply_adds.h"

namespace haq::bench {

int64_t MultiplyAdds(const artifact::Model& model, const artifact::Layer& layer) {
  const artifact::Tensor& output = model.tensors[layer.output];
  // Every output is a dot product with its channel's weights.
  const auto weights = static_cast<int64_t>(artifact::WeightsOf(layer.op).size());
  return output.ElementCount() / output.shape.back() * weights;
}

int64_t MultiplyAdds(const artifact::Model& model) {
  int64_t sum = 0;
  for (const artifact::Layer& layer : model.layers) sum += MultiplyAdds(model, layer);
  return sum;
}

}  // namespace haq::bench
