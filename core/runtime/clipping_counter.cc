#include "core/runtime/clipping_counter.h"

#include <utility>

namespace haq::runtime {

ClippingCounter::ClippingCounter(std::shared_ptr<const LoadedModel> model,
                                 std::vector<artifact::TensorClipping> tensors)
    : model_(std::move(model)),
      tensors_(std::move(tensors)),
      place_(model_->model().tensors.size(), -1) {
  for (size_t i = 0; i < tensors_.size(); ++i) {
    place_[static_cast<size_t>(tensors_[i].tensor)] = static_cast<int32_t>(i);
  }
}

Session::Tap ClippingCounter::TapInto(std::span<int64_t> counts) const {
  return [this, counts](int32_t tensor, std::span<const uint8_t> levels) {
    const int32_t place = place_[static_cast<size_t>(tensor)];
    if (place < 0) return;
    const artifact::TensorClipping& ends = tensors_[static_cast<size_t>(place)];
    const kernels::EndCounts found =
        model_->kernels().count_ends(static_cast<int64_t>(levels.size()), levels.data());
    counts[static_cast<size_t>(place)] += (ends.low ? found.low : 0) + (ends.high ? found.high : 0);
  };
}

}  // namespace haq::runtime
