#include "core/pipeline/tensor_origins.h"

#include <algorithm>
#include <numeric>

namespace haq::pipeline {
namespace {

bool Moves(const artifact::Op& op) {
  return std::holds_alternative<artifact::MaxPool2d>(op) ||
         std::holds_alternative<artifact::Pad>(op) || std::holds_alternative<artifact::Slice>(op) ||
         std::holds_alternative<artifact::Transpose>(op) ||
         std::holds_alternative<artifact::Reshape>(op) ||
         std::holds_alternative<artifact::Concat>(op);
}

class Tracer {
 public:
  explicit Tracer(const lower::Lowered& lowered)
      : model_(lowered.model),
        producer_(model_.tensors.size(), nullptr),
        decision_(model_.tensors.size(), -1),
        set_(lowered.decisions.size()) {
    for (const artifact::Layer& layer : model_.layers) producer_[layer.output] = &layer;
    for (size_t i = 0; i < lowered.decisions.size(); ++i) {
      decision_[lowered.decisions[i].tensor] = static_cast<int>(i);
    }
    std::iota(set_.begin(), set_.end(), 0);
  }

  TensorOrigin OriginOf(int32_t tensor) {
    const artifact::Layer* layer = producer_[tensor];
    if (layer == nullptr || !Moves(layer->op)) return {};
    TensorOrigin origin;
    for (size_t i = 0; i < layer->inputs.size(); ++i) {
      const int source = SourceOf(layer->inputs[i]);
      if (source < 0) origin.rounded_inputs.push_back(static_cast<int>(i));
      if (source >= 0) Unite(source, decision_[tensor]);
    }
    origin.rounds = !origin.rounded_inputs.empty();
    // What its only input rounds, all of it does.
    if (layer->inputs.size() == 1) origin.rounded_inputs.clear();
    return origin;
  }

  int SetOf(int decision) const {
    while (set_[decision] != decision) decision = set_[decision];
    return decision;
  }

 private:
  // The decision whose levels the tensor holds, or -1 when a helper layer rounded them.
  int SourceOf(int32_t tensor) const {
    while (decision_[tensor] < 0) {
      const artifact::Layer* layer = producer_[tensor];
      if (!Moves(layer->op)) return -1;
      tensor = layer->inputs[0];
    }
    return decision_[tensor];
  }

  void Unite(int a, int b) {
    a = SetOf(a), b = SetOf(b);
    set_[std::max(a, b)] = std::min(a, b);
  }

  const artifact::Model& model_;
  std::vector<const artifact::Layer*> producer_;  // by tensor; null: the network's input
  std::vector<int> decision_;                     // by tensor; -1: a helper's
  std::vector<int> set_;                          // by decision; an earlier one, or itself
};

}  // namespace

std::vector<TensorOrigin> FindOrigins(const lower::Lowered& lowered) {
  Tracer tracer(lowered);
  std::vector<TensorOrigin> origins;
  for (const lower::TensorDecision& decision : lowered.decisions) {
    origins.push_back(tracer.OriginOf(decision.tensor));
  }
  for (size_t i = 0; i < origins.size(); ++i) origins[i].set = tracer.SetOf(static_cast<int>(i));
  return origins;
}

}  // namespace haq::pipeline
