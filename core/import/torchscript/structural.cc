// The prim nodes that LibTorch's own interpreter knows as instructions rather than operators.
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>

#include <algorithm>

#include "core/import/torchscript/interpreter.h"

namespace haq::import {

namespace prim = c10::prim;
namespace attr = c10::attr;
using c10::IValue;
using torch::jit::Node;

namespace {

// None for a function, which only prim::CallFunction reads, by its type.
IValue Constant(const Node& node) {
  if (node.output()->type()->kind() == c10::TypeKind::FunctionType) return {};
  IValue value = torch::jit::toIValue(node.output()).value_or(IValue());
  // A model from a machine with a GPU is imported on one without.
  if (value.isDevice()) return c10::Device(c10::kCPU);
  return value;
}

IValue MakeList(const Node& node, const std::vector<IValue>& items) {
  const auto type = node.output()->type()->expect<c10::ListType>();
  // toIntList() and its like ask for lists of exactly that type.
  c10::impl::GenericList list(type->getElementType());
  list.reserve(items.size());
  for (const IValue& item : items) list.push_back(item);
  return list;
}

IValue MakeTuple(const Node& node, const std::vector<IValue>& items) {
  const auto type = node.output()->type()->cast<c10::TupleType>();
  if (type != nullptr && type->name()) return c10::ivalue::Tuple::createNamed(items, type);
  return c10::ivalue::Tuple::create(items);
}

IValue MakeDict(const Node& node, const std::vector<IValue>& items) {
  const auto type = node.output()->type()->expect<c10::DictType>();
  c10::impl::GenericDict dict(type->getKeyType(), type->getValueType());
  for (size_t i = 0; i + 1 < items.size(); i += 2) dict.insert_or_assign(items[i], items[i + 1]);
  return dict;
}

bool IsInstance(const Node& node, const IValue& value) {
  const auto& types = node.tys(attr::types);
  const c10::TypePtr type = value.type();
  return std::any_of(types.begin(), types.end(),
                     [&](const c10::TypePtr& candidate) { return type->isSubtypeOf(*candidate); });
}

Result<std::vector<IValue>> Unpack(const Node& node, c10::ArrayRef<IValue> items) {
  if (items.size() != node.outputs().size()) {
    return InvalidArgument("the model unpacks {} values into {}", items.size(),
                           node.outputs().size());
  }
  return items.vec();
}

std::vector<IValue> TupleSlice(const Node& node, const IValue& tuple) {
  const auto& elements = tuple.toTupleRef().elements();
  std::vector<IValue> all(elements.begin(), elements.end());
  return {all.begin() + node.i(attr::beg), all.begin() + node.i(attr::end)};
}

}  // namespace

Result<bool> Interpreter::RunStructural(const Node& node, Frame& frame) {
  const std::vector<IValue> inputs = InputsOf(node, frame);
  std::vector<IValue> outputs;
  switch (node.kind()) {
    case prim::Constant:
      outputs = {Constant(node)};
      break;
    case prim::ListConstruct:
      outputs = {MakeList(node, inputs)};
      break;
    case prim::TupleConstruct:
      outputs = {MakeTuple(node, inputs)};
      break;
    case prim::DictConstruct:
      outputs = {MakeDict(node, inputs)};
      break;
    case prim::ListUnpack: {
      HAQ_ASSIGN_OR_RETURN(outputs, Unpack(node, inputs[0].toListRef()));
      break;
    }
    case prim::TupleUnpack: {
      const auto& elements = inputs[0].toTupleRef().elements();
      const std::vector<IValue> items(elements.begin(), elements.end());
      HAQ_ASSIGN_OR_RETURN(outputs, Unpack(node, items));
      break;
    }
    case prim::TupleSlice:
      outputs = {c10::ivalue::Tuple::create(TupleSlice(node, inputs[0]))};
      break;
    case prim::isinstance:
      outputs = {IsInstance(node, inputs[0])};
      break;
    case prim::unchecked_cast:
      outputs = {inputs[0]};
      break;
    case prim::Uninitialized:
      outputs = {IValue()};
      break;
    case prim::SetAttr:
      inputs[0].toObject()->setAttr(node.s(attr::name), inputs[1]);
      break;
    case prim::RaiseException:
      return InvalidArgument("the model raises at {}: {}", PlaceOf(node, frame),
                             inputs[0].isString() ? inputs[0].toStringRef() : "an exception");
    default:
      return false;
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    frame.values[node.output(i)] = std::move(outputs[i]);
  }
  return true;
}

}  // namespace haq::import
