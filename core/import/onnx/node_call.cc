#include "core/import/onnx/node_call.h"

#include <algorithm>
#include <cmath>

namespace haq::import::from_onnx {

using ::onnx::AttributeProto;

std::string Recorder::UniqueName(const std::string& wanted) {
  std::string name = wanted.empty() ? "unnamed" : wanted;
  const std::string base = name;
  for (int i = 2; !names.insert(name).second; ++i) name = base + "_" + std::to_string(i);
  return name;
}

bool NodeCall::IsActivation(size_t input) const {
  return input < inputs_.size() && inputs_[input].value >= 0;
}

bool NodeCall::IsConstant(size_t input) const {
  return input < inputs_.size() && inputs_[input].constant != nullptr;
}

Result<ir::ValueId> NodeCall::Activation(size_t input) const {
  if (IsActivation(input)) return inputs_[input].value;
  if (!IsConstant(input)) return InvalidArgument("input {} is missing", input);
  return Unsupported("input {} ('{}') is a constant here", input, node_.input(int(input)));
}

Status NodeCall::RefuseLevels() const {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (!inputs_[i].quantized) continue;
    return Unsupported(
        "input {} ('{}') are levels; supported are operators on real numbers, behind "
        "a DequantizeLinear",
        i, node_.input(static_cast<int>(i)));
  }
  return {};
}

Result<TensorPtr> NodeCall::ConstantOf(size_t input) const {
  if (IsConstant(input)) return inputs_[input].constant;
  if (!IsActivation(input)) return InvalidArgument("input {} is missing", input);
  return Unsupported(
      "input {} ('{}') is computed from the network's input; it has to be a constant", input,
      node_.input(int(input)));
}

Result<std::vector<int64_t>> NodeCall::IntegersOf(size_t input) const {
  HAQ_ASSIGN_OR_RETURN(const TensorPtr tensor, ConstantOf(input));
  if (tensor->is_float() || tensor->shape.size() > 1) {
    return InvalidArgument("input {} is {} of shape [{}], not a list of integers", input,
                           TypeName(tensor->type), ir::ShapeToString(tensor->shape));
  }
  return tensor->integers;
}

Result<double> NodeCall::NumberOf(size_t input) const {
  HAQ_ASSIGN_OR_RETURN(const TensorPtr tensor, ConstantOf(input));
  if (tensor->count() == 1) return tensor->At(0);
  return Unsupported("input {} has {} elements, not 1", input, tensor->count());
}

const AttributeProto* NodeCall::Find(std::string_view name) const {
  for (const AttributeProto& attribute : node_.attribute()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

namespace {

Status WrongType(std::string_view name) {
  return InvalidArgument("attribute '{}' has the wrong type", name);
}

}  // namespace

Result<int64_t> NodeCall::Int(std::string_view name, int64_t otherwise) const {
  const AttributeProto* attribute = Find(name);
  if (attribute == nullptr) return otherwise;
  if (attribute->type() != AttributeProto::INT) return WrongType(name);
  return attribute->i();
}

Result<float> NodeCall::Float(std::string_view name, float otherwise) const {
  const AttributeProto* attribute = Find(name);
  if (attribute == nullptr) return otherwise;
  if (attribute->type() != AttributeProto::FLOAT) return WrongType(name);
  return attribute->f();
}

Result<std::vector<int64_t>> NodeCall::Ints(std::string_view name,
                                            const std::vector<int64_t>& otherwise) const {
  const AttributeProto* attribute = Find(name);
  if (attribute == nullptr) return otherwise;
  if (attribute->type() != AttributeProto::INTS) return WrongType(name);
  return std::vector<int64_t>(attribute->ints().begin(), attribute->ints().end());
}

Result<std::vector<float>> NodeCall::Floats(std::string_view name,
                                            const std::vector<float>& otherwise) const {
  const AttributeProto* attribute = Find(name);
  if (attribute == nullptr) return otherwise;
  if (attribute->type() != AttributeProto::FLOATS) return WrongType(name);
  return std::vector<float>(attribute->floats().begin(), attribute->floats().end());
}

Result<std::string> NodeCall::Text(std::string_view name, const std::string& otherwise) const {
  const AttributeProto* attribute = Find(name);
  if (attribute == nullptr) return otherwise;
  if (attribute->type() != AttributeProto::STRING) return WrongType(name);
  return attribute->s().substr(0, 200);
}

Result<TensorPtr> NodeCall::TensorOf(std::string_view name) const {
  const AttributeProto* attribute = Find(name);
  if (attribute == nullptr || attribute->type() != AttributeProto::TENSOR) return WrongType(name);
  Result<TensorPtr> tensor = Decode(attribute->t());
  if (tensor.ok()) return tensor;
  return tensor.status().WithContext(fmt::format("attribute '{}'", name));
}

Result<std::vector<int64_t>> NodeCall::IntsOrInput(std::string_view name, size_t input) const {
  if (HasAttribute(name)) return Ints(name, {});
  if (Has(input)) return IntegersOf(input);
  return std::vector<int64_t>{};
}

Result<int64_t> NodeCall::Axis(int64_t axis, int64_t rank) {
  if (axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
  return InvalidArgument("axis {} of {} dimensions", axis, rank);
}

Result<std::vector<int64_t>> NodeCall::Axes(std::vector<int64_t> axes, int64_t rank) {
  for (int64_t& axis : axes) {
    HAQ_ASSIGN_OR_RETURN(axis, Axis(axis, rank));
  }
  std::vector<int64_t> sorted = axes;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    return InvalidArgument("an axis is named twice");
  }
  return axes;
}

namespace {

// Numbers that an operator of the graph holds.
struct Size {
  size_t operator()(const ir::Conv2d& op) const { return op.weight.data.size(); }
  size_t operator()(const ir::Linear& op) const { return op.weight.data.size(); }
  size_t operator()(const ir::ChannelAffine& op) const { return op.scale.size(); }
  size_t operator()(const ir::AvgPool2d& op) const {
    return op.row_begin.size() + op.column_begin.size();
  }
  template <typename Op>
  size_t operator()(const Op&) const {
    return 0;
  }
};

}  // namespace

Status NodeCall::CheckLimits(const ir::Op& op, size_t inputs) {
  recorder_.inputs += static_cast<int64_t>(inputs);
  recorder_.elements += static_cast<int64_t>(std::visit(Size{}, op));
  if (static_cast<int64_t>(recorder_.graph.nodes.size()) >= limits_.graph_nodes) {
    return ResourceExhausted("is one operator too many: a network may have {}",
                             limits_.graph_nodes);
  }
  if (recorder_.inputs > limits_.graph_inputs) {
    return ResourceExhausted("has one input too many: the operators of a network may have {}",
                             limits_.graph_inputs);
  }
  if (recorder_.elements <= limits_.computed_elements) return {};
  return ResourceExhausted("its weights are too many: a network of this size may use {} numbers",
                           limits_.computed_elements);
}

Result<ir::ValueId> NodeCall::Emit(ir::Op op, const std::vector<ir::ValueId>& inputs,
                                   const ir::Shape& declared, std::string_view part) {
  HAQ_RETURN_IF_ERROR(CheckLimits(op, inputs.size()));
  std::vector<ir::Shape> shapes;
  for (const ir::ValueId input : inputs) shapes.push_back(ShapeOf(input));
  Result<ir::Shape> shape = ir::InferShape(op, shapes, declared);
  if (!shape.ok()) return Unsupported("{}", shape.status().message());
  const std::string suffix = part.empty() ? "" : fmt::format(".{}", part);
  const std::string name = recorder_.UniqueName(NameOf(node_) + suffix);
  return recorder_.graph.AddNode(name, std::move(op), inputs, *std::move(shape));
}

Result<ir::ValueId> NodeCall::EmitReshape(ir::ValueId value, const ir::Shape& shape,
                                          std::string_view part) {
  if (ShapeOf(value) == shape) return value;
  if (shape.empty() || shape[0] != 1) {
    return Unsupported("gives shape {}, whose first dimension is not the batch (1 here)",
                       ir::ShapeToString(shape));
  }
  return Emit(ir::Reshape{}, {value}, shape, part);
}

Status NodeCall::Return(ir::ValueId value, size_t output) {
  if (results_.size() <= output) results_.resize(output + 1);
  results_[output].value = value;
  return {};
}

Status NodeCall::Return(TensorPtr constant, size_t output) {
  if (results_.size() <= output) results_.resize(output + 1);
  results_[output].constant = std::move(constant);
  return {};
}

Status NodeCall::Return(Known known) {
  results_ = {std::move(known)};
  return {};
}

std::optional<ir::GivenQuantization::Levels> NodeCall::GivenOf(ir::ValueId value) const {
  const auto given = recorder_.given.find(value);
  if (given == recorder_.given.end()) return std::nullopt;
  return given->second;
}

void NodeCall::KeepScales(const Tensor& weight) {
  if (weight.scales.empty()) return;
  recorder_.weight_scales[recorder_.graph.nodes.back().name] = weight.scales;
}

namespace {

// Operators whose result the levels cut. Functions of one value come out between the ends, or are
// cut by their table.
bool IsCut(const ir::Op& op) {
  return std::holds_alternative<ir::Conv2d>(op) || std::holds_alternative<ir::Linear>(op) ||
         std::holds_alternative<ir::ChannelAffine>(op) || std::holds_alternative<ir::Clamp>(op) ||
         std::holds_alternative<ir::Add>(op) || std::holds_alternative<ir::Mul>(op) ||
         std::holds_alternative<ir::AvgPool2d>(op);
}

// Operators that leave the levels of their input as they are.
bool KeepsLevels(const ir::Op& op) {
  return std::holds_alternative<ir::MaxPool2d>(op) || std::holds_alternative<ir::Reshape>(op) ||
         std::holds_alternative<ir::Permute>(op) || std::holds_alternative<ir::Slice>(op) ||
         std::holds_alternative<ir::Pad>(op);
}

// A sum with next to nothing beside a step of the levels: what breaks ties, as this project's own
// exports do, whose engine has another way to do it.
bool BreaksTies(const ir::Op& op, float step) {
  const auto* affine = std::get_if<ir::ChannelAffine>(&op);
  return affine != nullptr &&
         std::all_of(affine->scale.begin(), affine->scale.end(),
                     [](float scale) { return scale == 1; }) &&
         std::all_of(affine->shift.begin(), affine->shift.end(),
                     [&](float shift) { return std::abs(shift) <= step / 512; });
}

}  // namespace

// A cut is a clamp: the layer before it does it when it rounds, or, between tensors with different
// levels, it is the change from one to the other.
Result<ir::ValueId> NodeCall::EmitGiven(ir::ValueId x,
                                        const ir::GivenQuantization::Levels& levels) {
  int producer = recorder_.graph.ProducerOf(x);
  if (producer >= 0 && BreaksTies(recorder_.graph.nodes[producer].op, levels.scale)) {
    x = recorder_.graph.nodes[producer].inputs[0];
    producer = recorder_.graph.ProducerOf(x);
  }
  const auto own = GivenOf(x);
  if (own == levels) return x;
  bool cut = own.has_value();
  if (producer >= 0) {
    const ir::Node& node = recorder_.graph.nodes[producer];
    const auto before = GivenOf(node.inputs[0]);
    cut = cut || IsCut(node.op) || (KeepsLevels(node.op) && before && before != levels);
  }
  if (cut) {
    const double scale = levels.scale;
    HAQ_ASSIGN_OR_RETURN(x, Emit(ir::Clamp{static_cast<float>(scale * -levels.zero_point),
                                           static_cast<float>(scale * (255 - levels.zero_point)),
                                           {}},
                                 {x}));
  }
  recorder_.given[x] = levels;
  return x;
}

Status NodeCall::RefuseOutput(size_t output, std::string_view what) const {
  if (output >= OutputCount()) return {};
  const auto readers = recorder_.readers.find(node_.output(static_cast<int>(output)));
  if (readers == recorder_.readers.end()) return {};
  return Unsupported("its output {} ({}) is asked for", output, what);
}

}  // namespace haq::import::from_onnx
