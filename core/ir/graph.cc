#include "core/ir/graph.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace haq::ir {

namespace {

constexpr int64_t kMaxElements = int64_t{1} << 40;

}  // namespace

std::string ShapeToString(const Shape& shape) { return fmt::format("{}", fmt::join(shape, "x")); }

Result<int64_t> ElementCount(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t dimension : shape) {
    if (dimension < 1) {
      return InvalidArgument("shape {}: dimension {} is not positive", ShapeToString(shape),
                             dimension);
    }
    if (dimension > kMaxElements / count) {
      return InvalidArgument("shape {}: more than 2^40 elements", ShapeToString(shape));
    }
    count *= dimension;
  }
  return count;
}

std::string_view OpName(const Op& op) {
  static constexpr std::array<std::string_view, std::variant_size_v<Op>> kNames = {
      "conv2d",       "linear",     "channel_affine", "clamp",   "leaky_relu", "sigmoid",
      "hard_sigmoid", "silu",       "hard_swish",     "tanh",    "add",        "mul",
      "concat",       "max_pool2d", "avg_pool2d",     "reshape", "permute",    "pad",
      "slice",        "softmax"};
  return kNames[op.index()];
}

ValueId Graph::AddValue(std::string name, Shape shape) {
  values.push_back({std::move(name), std::move(shape)});
  return static_cast<ValueId>(values.size() - 1);
}

ValueId Graph::AddNode(std::string name, Op op, std::vector<ValueId> inputs, Shape output_shape) {
  const ValueId output = AddValue(name, std::move(output_shape));
  nodes.push_back({std::move(name), std::move(op), std::move(inputs), output});
  return output;
}

int Graph::ProducerOf(ValueId value) const {
  const auto node =
      std::find_if(nodes.begin(), nodes.end(), [&](const Node& n) { return n.output == value; });
  return node == nodes.end() ? -1 : static_cast<int>(node - nodes.begin());
}

std::string DescribeValue(const Graph& graph, ValueId value) {
  const std::string& name = graph.values[value].name;
  const int producer = graph.ProducerOf(value);
  if (producer < 0) return fmt::format("tensor \"{}\", the network's input", name);
  const Node& node = graph.nodes[producer];
  return fmt::format("tensor \"{}\", output of layer \"{}\" ({})", name, node.name,
                     OpName(node.op));
}

int Graph::UseCount(ValueId value) const {
  int64_t uses = output == value ? 1 : 0;
  for (const Node& node : nodes) uses += std::count(node.inputs.begin(), node.inputs.end(), value);
  return static_cast<int>(uses);
}

}  // namespace haq::ir
