#include "core/ir/passes.h"

#include <algorithm>

#include "core/ir/rewrite.h"

namespace haq::ir {

namespace {

bool IsIdentity(const Graph& graph, const Node& node) {
  const Shape& input = graph.values[node.inputs[0]].shape;
  const Shape& output = graph.values[node.output].shape;
  const auto all = [](const auto& range, auto value) {
    return std::all_of(range.begin(), range.end(), [&](auto x) { return x == value; });
  };
  if (const auto* op = std::get_if<ChannelAffine>(&node.op)) {
    return all(op->scale, 1.0f) && all(op->shift, 0.0f);
  }
  if (const auto* op = std::get_if<Clamp>(&node.op)) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    return op->low == -kInfinity &&
           (op->channel_high.empty() ? op->high == kInfinity : all(op->channel_high, kInfinity));
  }
  if (const auto* op = std::get_if<Permute>(&node.op)) {
    return std::is_sorted(op->order.begin(), op->order.end());
  }
  if (std::holds_alternative<Concat>(node.op)) return node.inputs.size() == 1;
  return (std::holds_alternative<Pad>(node.op) || std::holds_alternative<Slice>(node.op) ||
          std::holds_alternative<Reshape>(node.op)) &&
         input == output;
}

// Merges `node` into `before`, the node that makes its input and that nothing else reads.
bool MergeNeighbours(const Node& before, Node& node) {
  if (std::holds_alternative<Reshape>(node.op) && std::holds_alternative<Reshape>(before.op)) {
    node.inputs = before.inputs;
    return true;
  }
  if (auto* permute = std::get_if<Permute>(&node.op)) {
    const auto* first = std::get_if<Permute>(&before.op);
    if (first == nullptr) return false;
    for (int64_t& dimension : permute->order) dimension = first->order[dimension];
    node.inputs = before.inputs;
    return true;
  }
  if (auto* affine = std::get_if<ChannelAffine>(&node.op)) {
    const auto* first = std::get_if<ChannelAffine>(&before.op);
    if (first == nullptr) return false;
    for (size_t c = 0; c < affine->scale.size(); ++c) {
      affine->shift[c] =
          static_cast<float>(double{first->shift[c]} * affine->scale[c] + affine->shift[c]);
      affine->scale[c] *= first->scale[c];
    }
    node.inputs = before.inputs;
    return true;
  }
  return false;
}

bool IsZeroPadOfImage(const Graph& graph, const Node& node) {
  const auto* pad = std::get_if<Pad>(&node.op);
  return pad != nullptr && pad->value == 0 && graph.values[node.output].shape.size() == 4 &&
         pad->before[1] == 0 && pad->after[1] == 0;
}

bool FoldPad(Graph& graph, const Node& node) {
  if (!IsZeroPadOfImage(graph, node) || graph.output == node.output) return false;
  std::vector<Node*> readers;
  for (Node& other : graph.nodes) {
    if (std::count(other.inputs.begin(), other.inputs.end(), node.output) == 0) continue;
    if (!std::holds_alternative<Conv2d>(other.op)) return false;
    readers.push_back(&other);
  }
  const auto& pad = std::get<Pad>(node.op);
  for (Node* reader : readers) {
    Padding2d& padding = std::get<Conv2d>(reader->op).padding;
    padding.top += pad.before[2];
    padding.bottom += pad.after[2];
    padding.left += pad.before[3];
    padding.right += pad.after[3];
    reader->inputs[0] = node.inputs[0];
  }
  return !readers.empty();
}

bool MergeClamp(const Graph& graph, Node& node) {
  auto* clamp = std::get_if<Clamp>(&node.op);
  if (clamp == nullptr) return false;
  const Node* before = SoleReadProducer(graph, node.inputs[0]);
  const auto* inner = before == nullptr ? nullptr : std::get_if<Clamp>(&before->op);
  if (inner == nullptr) return false;
  // Clamps per channel are made after the graph was simplified.
  if (!clamp->channel_high.empty() || !inner->channel_high.empty()) return false;
  const Clamp outer = *clamp;
  clamp->low = std::min(std::max(inner->low, outer.low), outer.high);
  clamp->high = std::min(std::max(inner->high, outer.low), outer.high);
  node.inputs = before->inputs;
  return true;
}

}  // namespace

bool RemoveDeadNodes(Graph& graph) {
  std::vector<bool> live(graph.values.size(), false);
  live[graph.input] = live[graph.output] = true;
  std::vector<Node> kept;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    if (!live[node->output]) continue;
    for (const ValueId input : node->inputs) live[input] = true;
    kept.push_back(std::move(*node));
  }
  std::reverse(kept.begin(), kept.end());

  std::vector<ValueId> renumbered(graph.values.size(), -1);
  std::vector<Value> values;
  for (size_t i = 0; i < graph.values.size(); ++i) {
    if (!live[i]) continue;
    renumbered[i] = static_cast<ValueId>(values.size());
    values.push_back(std::move(graph.values[i]));
  }
  const bool changed = values.size() != graph.values.size();
  graph.nodes = std::move(kept);
  graph.values = std::move(values);
  for (Node& node : graph.nodes) {
    for (ValueId& input : node.inputs) input = renumbered[input];
    node.output = renumbered[node.output];
  }
  graph.input = renumbered[graph.input];
  graph.output = renumbered[graph.output];
  return changed;
}

bool RemoveIdentities(Graph& graph) {
  bool changed = false;
  for (Node& node : graph.nodes) {
    const Node* before = SoleReadProducer(graph, node.inputs[0]);
    if (before != nullptr) changed |= MergeNeighbours(*before, node);
    if (!IsIdentity(graph, node) || graph.UseCount(node.output) == 0) continue;
    ReplaceUses(graph, node.output, node.inputs[0]);
    changed = true;
  }
  if (changed) RemoveDeadNodes(graph);
  return changed;
}

bool FoldPadsAndClamps(Graph& graph) {
  bool changed = false;
  for (Node& node : graph.nodes) {
    changed |= FoldPad(graph, node);
    changed |= MergeClamp(graph, node);
  }
  if (changed) RemoveDeadNodes(graph);
  return changed;
}

Status Simplify(Graph& graph) {
  HAQ_RETURN_IF_ERROR(Verify(graph));
  bool changed = true;
  while (changed) {
    changed = RemoveIdentities(graph);
    changed |= FuseActivations(graph);
    changed |= FoldPadsAndClamps(graph);
    changed |= FoldChannelAffine(graph);
    changed |= FoldConstantChannels(graph);
    changed |= RemoveDeadNodes(graph);
  }
  return Verify(graph);
}

}  // namespace haq::ir
