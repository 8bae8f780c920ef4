// What there is no integer layer for.
#include "core/lower/builder.h"
#include "core/lower/lower.h"

namespace haq::lower {
namespace {

class Check {
 public:
  explicit Check(const ir::Graph& graph) : graph_(graph) {}

  Status Node(const ir::Node& node) const {
    return std::visit([&](const auto& op) { return Op(node, op); }, node.op);
  }

 private:
  template <typename Other>
  Status Op(const ir::Node&, const Other&) const {
    return {};
  }

  Status Op(const ir::Node& node, const ir::Softmax& op) const {
    if (node.output != graph_.output) {
      return Unsupported("softmax is supported as the last operator of a network only");
    }
    const ir::Shape& shape = graph_.values[node.output].shape;
    const auto last = static_cast<int32_t>(StoredShape(shape).size()) - 1;
    if (StoredAxis(shape.size(), op.axis) == last) return {};
    return Unsupported("softmax is supported over the channels or features, not over dimension {}",
                       op.axis);
  }

  Status Op(const ir::Node& node, const ir::Linear&) const {
    const ir::Shape& shape = graph_.values[node.inputs[0]].shape;
    if (shape.size() == 2) return {};
    return Unsupported("a linear layer takes [N, features], not {}", ir::ShapeToString(shape));
  }

  Status Op(const ir::Node& node, const ir::ChannelAffine&) const { return Channels(node); }
  Status Op(const ir::Node& node, const ir::Clamp& op) const {
    return op.channel_high.empty() ? Status() : Channels(node);
  }
  Status Channels(const ir::Node& node) const {
    const ir::Shape& shape = graph_.values[node.inputs[0]].shape;
    if (shape.size() == 2 || shape.size() == 4) return {};
    return Unsupported("arithmetic per channel takes [N, C] or [N, C, H, W], not {}",
                       ir::ShapeToString(shape));
  }

  const ir::Graph& graph_;
};

}  // namespace

Status CheckLowerable(const ir::Graph& graph) {
  const Check check(graph);
  for (const ir::Node& node : graph.nodes) {
    HAQ_RETURN_IF_ERROR(check.Node(node).WithContext(
        fmt::format("layer \"{}\" ({})", node.name, ir::OpName(node.op))));
  }
  return {};
}

}  // namespace haq::lower
