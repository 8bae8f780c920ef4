#include "core/pipeline/layer_sqnr.h"

#include <cstring>

namespace haq::pipeline {
namespace {

// Dequantizes stored bytes [H, W, C] into [C, H, W]; other ranks keep their order.
void Dequantize(const artifact::Tensor& tensor, std::span<const uint8_t> bytes,
                std::vector<float>& real) {
  const int64_t count = tensor.ElementCount();
  real.resize(count);
  const auto level = [&](int64_t i) -> int32_t {
    if (tensor.type == artifact::DataType::kUint8) return bytes[i];
    uint16_t wide;
    std::memcpy(&wide, bytes.data() + 2 * i, sizeof(wide));
    return wide;
  };
  const int64_t channels = tensor.shape.size() == 3 ? tensor.shape[2] : 1;
  const int64_t pixels = count / channels;
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    for (int64_t channel = 0; channel < channels; ++channel) {
      real[channel * pixels + pixel] =
          tensor.scale * static_cast<float>(level(pixel * channels + channel) - tensor.zero_point);
    }
  }
}

}  // namespace

LayerSqnr::LayerSqnr(const ir::Graph& graph, const lower::Lowered& lowered)
    : graph_(graph),
      lowered_(lowered),
      decision_of_tensor_(lowered.model.tensors.size(), -1),
      decision_of_value_(graph.values.size(), -1),
      fp32_(lowered.decisions.size()),
      sqnr_(lowered.decisions.size()) {
  for (size_t i = 0; i < lowered.decisions.size(); ++i) {
    decision_of_tensor_[lowered.decisions[i].tensor] = static_cast<int>(i);
    decision_of_value_[lowered.decisions[i].value] = static_cast<int>(i);
  }
  output_.resize(*ir::ElementCount(graph.values[graph.output].shape));
}

Status LayerSqnr::Add(float_exec::Executor& executor, runtime::Session& session,
                      std::span<const float> image) {
  HAQ_RETURN_IF_ERROR(
      executor.Run(1, image, output_, [&](ir::ValueId value, std::span<const float> elements) {
        const int decision = decision_of_value_[value];
        if (decision >= 0) fp32_[decision].assign(elements.begin(), elements.end());
      }));
  return session.Run(1, image, output_, [&](int32_t tensor, std::span<const uint8_t> bytes) {
    const int decision = decision_of_tensor_[tensor];
    if (decision < 0) return;
    // The stored rank tells [H, W, C] from a rank-4 value whose source has another rank.
    artifact::Tensor stored = lowered_.model.tensors[tensor];
    if (graph_.values[lowered_.decisions[decision].value].shape.size() != 4) {
      stored.shape = {static_cast<int32_t>(stored.ElementCount())};
    }
    Dequantize(stored, bytes, dequantized_);
    sqnr_[decision].Add(fp32_[decision], dequantized_);
  });
}

std::vector<double> LayerSqnr::Decibels() const {
  std::vector<double> decibels;
  for (const eval::Sqnr& sqnr : sqnr_) decibels.push_back(sqnr.Decibel());
  return decibels;
}

}  // namespace haq::pipeline
