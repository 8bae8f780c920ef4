#include <unordered_set>

#include "core/ir/graph.h"

namespace haq::ir {

namespace {

Status CheckValues(const Graph& graph) {
  const auto exists = [&](ValueId id) {
    return id >= 0 && static_cast<size_t>(id) < graph.values.size();
  };
  if (!exists(graph.input)) return InvalidArgument("the graph has no input value");
  if (!exists(graph.output)) return InvalidArgument("the graph has no output value");
  std::unordered_set<std::string_view> names;
  for (const Value& value : graph.values) {
    if (value.shape.empty() || value.shape[0] != 1) {
      return InvalidArgument("value '{}': shape {} has no batch of 1", value.name,
                             ShapeToString(value.shape));
    }
    if (const auto count = ElementCount(value.shape); !count.ok()) {
      return count.status().WithContext(fmt::format("value '{}'", value.name));
    }
    if (!names.insert(value.name).second) {
      return InvalidArgument("two values have the name '{}'", value.name);
    }
  }
  return {};
}

// `made` says which values exist before the node, and is updated.
Status CheckNode(const Graph& graph, const Node& node, std::vector<bool>& made) {
  std::vector<Shape> shapes;
  for (const ValueId input : node.inputs) {
    if (input < 0 || static_cast<size_t>(input) >= made.size() || !made[input]) {
      return InvalidArgument("reads value {} before it is made", input);
    }
    shapes.push_back(graph.values[input].shape);
  }
  if (node.output < 0 || static_cast<size_t>(node.output) >= made.size() || made[node.output]) {
    return InvalidArgument("its output {} is no value, or has another producer", node.output);
  }
  const Shape& declared = graph.values[node.output].shape;
  HAQ_ASSIGN_OR_RETURN(const Shape shape, InferShape(node.op, shapes, declared));
  if (shape != declared) {
    return InvalidArgument("{}: the output is {}, the graph says {}", OpName(node.op),
                           ShapeToString(shape), ShapeToString(declared));
  }
  made[node.output] = true;
  return {};
}

}  // namespace

Status Verify(const Graph& graph) {
  HAQ_RETURN_IF_ERROR(CheckValues(graph));
  std::vector<bool> made(graph.values.size(), false);
  made[graph.input] = true;
  std::unordered_set<std::string_view> names;
  for (const Node& node : graph.nodes) {
    if (!names.insert(node.name).second) {
      return InvalidArgument("two nodes have the name '{}'", node.name);
    }
    HAQ_RETURN_IF_ERROR(
        CheckNode(graph, node, made).WithContext(fmt::format("node '{}'", node.name)));
  }
  for (size_t i = 0; i < made.size(); ++i) {
    if (!made[i]) return InvalidArgument("value '{}' has no producer", graph.values[i].name);
  }
  return {};
}

}  // namespace haq::ir
