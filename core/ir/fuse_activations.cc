#include <algorithm>
#include <cmath>

#include "core/ir/passes.h"
#include "core/ir/rewrite.h"

namespace haq::ir {

namespace {

// 1/6 arrives as a float, or as the float nearest to a division by 6.
bool IsAffine(const Node* node, float scale, float shift) {
  const auto* affine = node == nullptr ? nullptr : std::get_if<ChannelAffine>(&node->op);
  if (affine == nullptr) return false;
  const auto near = [](const std::vector<float>& values, float wanted) {
    return std::all_of(values.begin(), values.end(),
                       [&](float v) { return std::abs(v - wanted) <= 1e-6f; });
  };
  return near(affine->scale, scale) && near(affine->shift, shift);
}

bool IsClamp(const Node* node, float low, float high) {
  const auto* clamp = node == nullptr ? nullptr : std::get_if<Clamp>(&node->op);
  return clamp != nullptr && clamp->low == low && clamp->high == high &&
         clamp->channel_high.empty();
}

// x when `value` is clamp(x + 3, 0, 6), else -1.
ValueId MatchShiftedClamp(const Graph& graph, ValueId value) {
  const Node* clamp = SoleReadProducer(graph, value);
  if (!IsClamp(clamp, 0, 6)) return -1;
  const Node* add = SoleReadProducer(graph, clamp->inputs[0]);
  return IsAffine(add, 1, 3) ? add->inputs[0] : -1;
}

bool FuseHardSigmoid(Graph& graph, Node& node) {
  if (!IsAffine(&node, 1.0f / 6, 0)) return false;
  const ValueId x = MatchShiftedClamp(graph, node.inputs[0]);
  if (x < 0) return false;
  node.op = HardSigmoid{};
  node.inputs = {x};
  return true;
}

// x * clamp(x + 3, 0, 6) / 6, in the order that multiplies first.
bool FuseHardSwishDividedLast(Graph& graph, Node& node) {
  if (!IsAffine(&node, 1.0f / 6, 0)) return false;
  const Node* mul = SoleReadProducer(graph, node.inputs[0]);
  if (mul == nullptr || !std::holds_alternative<Mul>(mul->op)) return false;
  for (const int side : {0, 1}) {
    const ValueId x = mul->inputs[side];
    if (MatchShiftedClamp(graph, mul->inputs[1 - side]) != x) continue;
    node.op = HardSwish{};
    node.inputs = {x};
    return true;
  }
  return false;
}

bool FuseGate(Graph& graph, Node& node) {
  if (!std::holds_alternative<Mul>(node.op)) return false;
  for (const int side : {0, 1}) {
    const ValueId x = node.inputs[side];
    const Node* gate = SoleReadProducer(graph, node.inputs[1 - side]);
    if (gate == nullptr || gate->inputs[0] != x) continue;
    if (std::holds_alternative<Sigmoid>(gate->op)) {
      node.op = Silu{};
    } else if (std::holds_alternative<HardSigmoid>(gate->op)) {
      node.op = HardSwish{};
    } else {
      continue;
    }
    node.inputs = {x};
    return true;
  }
  return false;
}

}  // namespace

bool FuseActivations(Graph& graph) {
  bool changed = false;
  for (Node& node : graph.nodes) {
    changed |= FuseHardSigmoid(graph, node) || FuseHardSwishDividedLast(graph, node) ||
               FuseGate(graph, node);
  }
  if (changed) RemoveDeadNodes(graph);
  return changed;
}

}  // namespace haq::ir
