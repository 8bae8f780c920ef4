#include <algorithm>
#include <cmath>

#include "core/ir/passes.h"
#include "core/ir/rewrite.h"

namespace haq::ir {

namespace {

// Row-major weights [O, rest]: y * scale[o] + shift[o] after the layer.
void ScaleOutputs(Constant& weight, std::vector<float>& bias, const ChannelAffine& affine) {
  const auto outputs = static_cast<size_t>(weight.shape[0]);
  const size_t row = weight.data.size() / outputs;
  bias.resize(outputs, 0.0f);
  for (size_t o = 0; o < outputs; ++o) {
    for (size_t i = 0; i < row; ++i) weight.data[o * row + i] *= affine.scale[o];
    bias[o] = static_cast<float>(double{bias[o]} * affine.scale[o] + affine.shift[o]);
  }
}

// Weights [O, I / groups, taps]: x * scale[i] + shift[i] before the layer.
void ScaleInputs(Constant& weight, std::vector<float>& bias, int64_t groups,
                 const ChannelAffine& affine) {
  const auto outputs = static_cast<size_t>(weight.shape[0]);
  const auto inputs = static_cast<size_t>(weight.shape[1]);
  const size_t taps = weight.data.size() / outputs / inputs;
  bias.resize(outputs, 0.0f);
  for (size_t o = 0; o < outputs; ++o) {
    const size_t first_input = o / (outputs / static_cast<size_t>(groups)) * inputs;
    double added = 0;
    for (size_t i = 0; i < inputs; ++i) {
      for (size_t t = 0; t < taps; ++t) {
        float& w = weight.data[(o * inputs + i) * taps + t];
        added += double{w} * affine.shift[first_input + i];
        w *= affine.scale[first_input + i];
      }
    }
    bias[o] = static_cast<float>(bias[o] + added);
  }
}

// A rank above 2 has the linear layer's outputs in the last dimension, not in dimension 1.
bool IsLinearOnChannels(const Graph& graph, const Node& node) {
  return std::holds_alternative<Linear>(node.op) && graph.values[node.output].shape.size() == 2;
}

bool FoldIntoLayerBefore(Graph& graph, Node& affine_node) {
  Node* layer = SoleReadProducer(graph, affine_node.inputs[0]);
  if (layer == nullptr) return false;
  const auto& affine = std::get<ChannelAffine>(affine_node.op);
  if (auto* conv = std::get_if<Conv2d>(&layer->op)) {
    ScaleOutputs(conv->weight, conv->bias, affine);
  } else if (IsLinearOnChannels(graph, *layer)) {
    auto& linear = std::get<Linear>(layer->op);
    ScaleOutputs(linear.weight, linear.bias, affine);
  } else {
    return false;
  }
  TakeOverOutput(graph, *layer, affine_node);
  return true;
}

bool FoldIntoLayerAfter(Graph& graph, const Node& affine_node) {
  if (graph.UseCount(affine_node.output) != 1 || graph.output == affine_node.output) return false;
  const auto layer = std::find_if(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) {
    return std::count(node.inputs.begin(), node.inputs.end(), affine_node.output) != 0;
  });
  const auto& affine = std::get<ChannelAffine>(affine_node.op);
  if (auto* conv = std::get_if<Conv2d>(&layer->op)) {
    const bool shifts = std::any_of(affine.shift.begin(), affine.shift.end(),
                                    [](float shift) { return shift != 0; });
    if (shifts && conv->padding != Padding2d{}) return false;
    ScaleInputs(conv->weight, conv->bias, conv->groups, affine);
  } else if (IsLinearOnChannels(graph, *layer)) {
    auto& linear = std::get<Linear>(layer->op);
    ScaleInputs(linear.weight, linear.bias, 1, affine);
  } else {
    return false;
  }
  layer->inputs[0] = affine_node.inputs[0];
  return true;
}

}  // namespace

bool FoldChannelAffine(Graph& graph) {
  bool changed = false;
  for (Node& node : graph.nodes) {
    if (!std::holds_alternative<ChannelAffine>(node.op)) continue;
    if (graph.UseCount(node.output) == 0) continue;
    changed |= FoldIntoLayerBefore(graph, node) || FoldIntoLayerAfter(graph, node);
  }
  if (changed) RemoveDeadNodes(graph);
  return changed;
}

}  // namespace haq::ir
