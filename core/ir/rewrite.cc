#include "core/ir/rewrite.h"

#include <utility>

namespace haq::ir {

const Node* SoleReadProducer(const Graph& graph, ValueId value) {
  const int producer = graph.ProducerOf(value);
  if (producer < 0 || graph.UseCount(value) != 1 || graph.output == value) return nullptr;
  return &graph.nodes[producer];
}

Node* SoleReadProducer(Graph& graph, ValueId value) {
  return const_cast<Node*>(SoleReadProducer(std::as_const(graph), value));
}

void ReplaceUses(Graph& graph, ValueId from, ValueId to) {
  for (Node& node : graph.nodes) {
    for (ValueId& input : node.inputs) {
      if (input == from) input = to;
    }
  }
  if (graph.output == from) graph.output = to;
}

void TakeOverOutput(Graph& graph, Node& node, Node& last) {
  std::swap(graph.values[node.output].name, graph.values[last.output].name);
  std::swap(node.output, last.output);
}

}  // namespace haq::ir
