#include "core/import/torchscript/op_call.h"

#include <ATen/ATen.h>

namespace haq::import {

OpCall::OpCall(Recorder& recorder, const c10::FunctionSchema& schema, std::string name,
               std::vector<c10::IValue> inputs)
    : recorder_(recorder), schema_(schema), name_(std::move(name)), inputs_(std::move(inputs)) {
  for (c10::IValue& input : inputs_) {
    Note(input);
    // An operator in place may overwrite a constant before its importer reads it.
    if (input.isTensor() && input.toTensor().defined() && schema_.is_mutable() &&
        ValueOf(input) == -1) {
      input = input.toTensor().clone();
    }
  }
}

void OpCall::Note(const c10::IValue& input) {
  if (input.isTensor()) {
    if (const Recorder::Tracked* tracked = recorder_.Find(input.toTensor())) {
      values_[input.toTensor().unsafeGetTensorImpl()] = tracked->value;
      unknown_ = unknown_ || tracked->value == kUnknownValue;
      stale_ = stale_ || tracked->stale;
      broadcast_ = broadcast_ || (tracked->value >= 0 &&
                                  ShapeOf(input.toTensor()) != ShapeOfValue(tracked->value));
    }
  } else if (input.isTensorList() || input.isList()) {
    for (const c10::IValue& item : input.toListRef()) Note(item);
  } else if (input.isTuple()) {
    for (const c10::IValue& item : input.toTupleRef().elements()) Note(item);
  }
}

const c10::IValue& OpCall::Arg(std::string_view name) const {
  static const c10::IValue kNone;
  const auto index = schema_.argumentIndexWithName(std::string(name));
  return index && *index >= 0 && static_cast<size_t>(*index) < inputs_.size() ? inputs_[*index]
                                                                              : kNone;
}

double OpCall::Number(std::string_view name) const {
  const c10::IValue& value = Arg(name);
  return value.isTensor() ? value.toTensor().item().toDouble() : value.toScalar().toDouble();
}

bool OpCall::Bool(std::string_view name, bool otherwise) const {
  const c10::IValue& value = Arg(name);
  return value.isBool() ? value.toBool() : otherwise;
}

Result<std::array<int64_t, 2>> OpCall::Pair(std::string_view name) const {
  const c10::IValue& value = Arg(name);
  if (value.isInt()) return std::array<int64_t, 2>{value.toInt(), value.toInt()};
  if (!value.isIntList()) return Unsupported("{} is not a list of numbers", name);
  const std::vector<int64_t> list = value.toIntVector();
  if (list.size() == 1) return std::array<int64_t, 2>{list[0], list[0]};
  if (list.size() == 2) return std::array<int64_t, 2>{list[0], list[1]};
  return Unsupported("{} has {} numbers instead of 1 or 2", name, list.size());
}

Result<int64_t> OpCall::Axis(std::string_view name, int64_t rank) const {
  const int64_t axis = Int(name);
  return axis < 0 ? axis + rank : axis;
}

Result<std::vector<int64_t>> OpCall::Axes(std::string_view name, int64_t rank) const {
  const c10::IValue& value = Arg(name);
  std::vector<int64_t> axes;
  if (value.isInt()) axes = {value.toInt()};
  if (value.isIntList()) axes = value.toIntVector();
  if (axes.empty()) return Unsupported("works over all dimensions, the batch included");
  for (int64_t& axis : axes) axis = axis < 0 ? axis + rank : axis;
  return axes;
}

ir::ValueId OpCall::ValueOf(const c10::IValue& input) const {
  if (!input.isTensor()) return -1;
  const auto found = values_.find(input.toTensor().unsafeGetTensorImpl());
  return found == values_.end() ? -1 : found->second;
}

bool OpCall::IsActivation(std::string_view name) const { return ValueOf(Arg(name)) != -1; }

Result<ir::ValueId> OpCall::Activation(std::string_view name) const {
  const ir::ValueId value = ValueOf(Arg(name));
  if (value == -1) return Unsupported("'{}' is a constant here", name);
  return value;
}

Result<at::Tensor> OpCall::ConstantOf(std::string_view name) const {
  const c10::IValue& value = Arg(name);
  if (value.isScalar()) return at::scalar_tensor(value.toScalar(), at::kDouble);
  if (!value.isTensor() || !value.toTensor().defined()) {
    return Unsupported("'{}' is missing", name);
  }
  if (IsActivation(name)) {
    return Unsupported("'{}' is computed from the input; it has to be a constant", name);
  }
  return value.toTensor().to(at::kDouble);
}

const ir::Shape& OpCall::ShapeOfValue(ir::ValueId value) const {
  return recorder_.graph.values[value].shape;
}

Result<ir::ValueId> OpCall::Emit(ir::Op op, const std::vector<ir::ValueId>& inputs,
                                 const ir::Shape& declared, std::string_view part) {
  std::vector<ir::Shape> shapes;
  for (const ir::ValueId input : inputs) shapes.push_back(ShapeOfValue(input));
  Result<ir::Shape> shape = ir::InferShape(op, shapes, declared);
  if (!shape.ok()) return Unsupported("{}", shape.status().message());
  const std::string name =
      recorder_.UniqueName(part.empty() ? name_ : fmt::format("{}.{}", name_, part));
  return recorder_.graph.AddNode(name, std::move(op), inputs, *std::move(shape));
}

Result<ir::ValueId> OpCall::EmitReshape(ir::ValueId value, const ir::Shape& shape,
                                        std::string_view part) {
  if (ShapeOfValue(value) == shape) return value;
  if (shape.empty() || shape[0] != 1) {
    return Unsupported("gives shape {}, whose first dimension is not the batch (1 here)",
                       ir::ShapeToString(shape));
  }
  return Emit(ir::Reshape{}, {value}, shape, part);
}

Status OpCall::Return(ir::ValueId value, size_t i) {
  return ReturnTensor(outputs[i].toTensor(), value);
}

Status OpCall::ReturnTensor(const at::Tensor& tensor, ir::ValueId value) {
  if (ShapeOf(tensor) != ShapeOfValue(value)) {
    return Unsupported("broadcasts {} to {}", ir::ShapeToString(ShapeOfValue(value)),
                       ir::ShapeToString(ShapeOf(tensor)));
  }
  if (!tensor.is_floating_point()) return Unsupported("gives {}", toString(tensor.scalar_type()));
  results_.push_back({tensor, value});
  return {};
}

}  // namespace haq::import
