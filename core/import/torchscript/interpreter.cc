#include "core/import/torchscript/interpreter.h"

#include <ATen/core/function.h>
#include <ATen/core/stack.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>

#include "core/import/torchscript/operators.h"

namespace haq::import {

namespace prim = c10::prim;
namespace attr = c10::attr;
using c10::IValue;
using torch::jit::Block;
using torch::jit::Node;

namespace {

// A real network takes some ten thousand; a loop that does not end must end here.
constexpr int64_t kMaxSteps = 10'000'000;
constexpr int kMaxDepth = 200;

// The first line of what LibTorch says: the rest is its stack.
std::string FirstLine(std::string_view message) {
  const size_t end = message.find('\n');
  return std::string(message.substr(0, end));
}

// "aten::relu_" -> "relu"
std::string ShortKind(const Node& node) {
  std::string kind = node.kind().toUnqualString();
  while (kind.size() > 1 && kind.back() == '_') kind.pop_back();
  return kind;
}

bool HasSubmodules(const c10::ivalue::Object& object) {
  const auto& attributes = object.type()->getAttributes();
  return std::any_of(attributes.begin(), attributes.end(), [](const c10::ClassAttribute& a) {
    const auto type = a.getType()->cast<c10::ClassType>();
    return type != nullptr && type->is_module();
  });
}

void Define(std::unordered_map<const torch::jit::Value*, IValue>& values, const Node& node,
            std::vector<IValue> outputs) {
  for (size_t i = 0; i < outputs.size(); ++i) values[node.output(i)] = std::move(outputs[i]);
}

}  // namespace

Interpreter::Interpreter(Recorder& recorder, const torch::jit::Module& root)
    : recorder_(recorder), root_(root) {
  paths_[root._ivalue().get()] = "";
}

Result<IValue> Interpreter::Run(std::vector<IValue> arguments) {
  const auto& graph = *torch::jit::toGraphFunction(root_.get_method("forward").function()).graph();
  Frame frame{{}, "", !HasSubmodules(*root_._ivalue())};
  frame.values[graph.inputs()[0]] = root_._ivalue();
  for (size_t i = 0; i < arguments.size(); ++i) {
    frame.values[graph.inputs()[i + 1]] = std::move(arguments[i]);
  }
  HAQ_ASSIGN_OR_RETURN(std::vector<IValue> outputs, RunGraph(graph, std::move(frame)));
  if (outputs.size() != 1) return InvalidArgument("forward returns {} values", outputs.size());
  return std::move(outputs[0]);
}

Result<std::vector<IValue>> Interpreter::RunGraph(const torch::jit::Graph& graph, Frame frame) {
  if (++depth_ > kMaxDepth) return InvalidArgument("the model's methods call each other too deep");
  HAQ_RETURN_IF_ERROR(RunBlock(*graph.block(), frame));
  --depth_;
  std::vector<IValue> outputs;
  for (const torch::jit::Value* output : graph.outputs()) outputs.push_back(frame.values[output]);
  return outputs;
}

Status Interpreter::RunBlock(const Block& block, Frame& frame) {
  for (const Node* node : block.nodes()) {
    if (++steps_ > kMaxSteps) {
      return InvalidArgument("the model takes more than {} steps for one sample", kMaxSteps);
    }
    HAQ_RETURN_IF_ERROR(RunNode(*node, frame));
  }
  return {};
}

Status Interpreter::RunNode(const Node& node, Frame& frame) {
  switch (node.kind()) {
    case prim::If:
      return RunIf(node, frame);
    case prim::Loop:
      return RunLoop(node, frame);
    case prim::GetAttr:
      return RunGetAttr(node, frame);
    case prim::CallMethod:
      return RunCallMethod(node, frame);
    case prim::CallFunction:
      return RunCallFunction(node, frame);
    default:
      break;
  }
  HAQ_ASSIGN_OR_RETURN(const bool done, RunStructural(node, frame));
  return done ? Status() : RunOperator(node, frame);
}

Status Interpreter::RunIf(const Node& node, Frame& frame) {
  const Block& block = *node.blocks()[frame.values[node.input(0)].toBool() ? 0 : 1];
  HAQ_RETURN_IF_ERROR(RunBlock(block, frame));
  for (size_t i = 0; i < node.outputs().size(); ++i) {
    frame.values[node.output(i)] = frame.values[block.outputs()[i]];
  }
  return {};
}

// Inputs: trip count, condition, carried values; the body gives the condition and carried values.
Status Interpreter::RunLoop(const Node& node, Frame& frame) {
  const Block& body = *node.blocks()[0];
  const int64_t trips = frame.values[node.input(0)].toInt();
  bool condition = frame.values[node.input(1)].toBool();
  std::vector<IValue> carried = InputsOf(node, frame);
  carried.erase(carried.begin(), carried.begin() + 2);
  for (int64_t i = 0; i < trips && condition; ++i) {
    if (++steps_ > kMaxSteps) {
      return InvalidArgument("the model takes more than {} steps for one sample", kMaxSteps);
    }
    frame.values[body.inputs()[0]] = i;
    for (size_t c = 0; c < carried.size(); ++c) frame.values[body.inputs()[c + 1]] = carried[c];
    HAQ_RETURN_IF_ERROR(RunBlock(body, frame));
    condition = frame.values[body.outputs()[0]].toBool();
    for (size_t c = 0; c < carried.size(); ++c) carried[c] = frame.values[body.outputs()[c + 1]];
  }
  Define(frame.values, node, std::move(carried));
  return {};
}

Status Interpreter::RunGetAttr(const Node& node, Frame& frame) {
  const auto object = frame.values[node.input(0)].toObject();
  const std::string& name = node.s(attr::name);
  IValue value = object->getAttr(name);
  if (value.isObject()) {
    const auto parent = paths_.find(object.get());
    const std::string path =
        parent == paths_.end() || parent->second.empty() ? name : parent->second + "." + name;
    paths_.emplace(value.toObject().get(), path);
  }
  frame.values[node.output()] = std::move(value);
  return {};
}

Status Interpreter::RunCallMethod(const Node& node, Frame& frame) {
  const auto object = frame.values[node.input(0)].toObject();
  const auto& graph =
      *torch::jit::toGraphFunction(object->type()->getMethod(node.s(attr::name))).graph();
  const auto path = paths_.find(object.get());
  Frame inner{{}, path == paths_.end() ? frame.scope : path->second, !HasSubmodules(*object)};
  for (size_t i = 0; i < node.inputs().size(); ++i) {
    inner.values[graph.inputs()[i]] = frame.values[node.input(i)];
  }
  HAQ_ASSIGN_OR_RETURN(std::vector<IValue> outputs, RunGraph(graph, std::move(inner)));
  Define(frame.values, node, std::move(outputs));
  return {};
}

Status Interpreter::RunCallFunction(const Node& node, Frame& frame) {
  const auto type = node.input(0)->type()->cast<c10::FunctionType>();
  if (type == nullptr || !type->function()->isGraphFunction()) {
    return Unsupported("calls a function that is not TorchScript, at {}", PlaceOf(node, frame));
  }
  const auto& graph = *torch::jit::toGraphFunction(*type->function()).graph();
  Frame inner{{}, frame.scope, frame.is_leaf};
  for (size_t i = 1; i < node.inputs().size(); ++i) {
    inner.values[graph.inputs()[i - 1]] = frame.values[node.input(i)];
  }
  HAQ_ASSIGN_OR_RETURN(std::vector<IValue> outputs, RunGraph(graph, std::move(inner)));
  Define(frame.values, node, std::move(outputs));
  return {};
}

void Interpreter::TrackUnknown(const IValue& value, bool in_place) {
  if (value.isTensor() && value.toTensor().defined()) {
    recorder_.Track(value.toTensor(), kUnknownValue, in_place);
  } else if (value.isTensorList() || value.isList()) {
    for (const IValue& item : value.toListRef()) TrackUnknown(item, in_place);
  } else if (value.isTuple()) {
    for (const IValue& item : value.toTupleRef().elements()) TrackUnknown(item, in_place);
  }
}

void Interpreter::Report(const Node& node, const Frame& frame, std::string reason,
                         bool in_the_model) {
  problems_.push_back(
      {node.kind().toQualString(), PlaceOf(node, frame), std::move(reason), in_the_model});
}

Result<std::vector<IValue>> Interpreter::Execute(const Node& node, const Frame& frame,
                                                 const std::vector<IValue>& inputs) {
  torch::jit::Stack stack(inputs.begin(), inputs.end());
  if (node.schema().is_vararg()) stack.emplace_back(static_cast<int64_t>(inputs.size()));
  try {
    node.getOperation()(stack);
  } catch (const std::exception& error) {
    const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
    return InvalidArgument(
        "the model fails at {} in {}: {}", PlaceOf(node, frame), node.kind().toQualString(),
        FirstLine(torch_error != nullptr ? torch_error->what_without_backtrace() : error.what()));
  }
  return std::vector<IValue>(stack.begin(), stack.end());
}

void Interpreter::Import(const Node& node, const Frame& frame, OpCall& call) {
  const bool in_place = call.schema().is_mutable();
  const auto& importers = Importers();
  const auto importer = importers.find(node.kind().toQualString());
  bool tracks_data = false;
  for (const IValue& output : call.outputs) {
    TrackUnknown(output, in_place);
    tracks_data |= recorder_.Contains(output);
  }
  if (importer == importers.end()) {
    Report(node, frame, tracks_data ? "" : "its result depends on the values of the input");
    return;
  }
  if (call.unknown()) return;
  Status status;
  if (call.stale()) {
    status = Unsupported("reads memory that was overwritten through another view");
  } else if (call.broadcast() && !TakesBroadcast(node.kind().toQualString())) {
    status = Unsupported("reads an expanded activation; add and mul can");
  } else {
    status = importer->second(call);
  }
  if (!status.ok()) {
    return Report(node, frame, status.message(), status.code() == StatusCode::kInvalidArgument);
  }
  for (const auto& [tensor, value] : call.results()) {
    recorder_.Track(tensor.toTensor(), value, in_place);
  }
}

Status Interpreter::RunOperator(const Node& node, Frame& frame) {
  if (node.kind() == c10::aten::warn || node.kind() == prim::Print) return {};
  std::vector<IValue> inputs = InputsOf(node, frame);
  const std::string kind = node.kind().toQualString();
  const c10::FunctionSchema* schema = node.maybeSchema();
  if (schema == nullptr) return Unsupported("{}, at {}", kind, PlaceOf(node, frame));

  const bool touches_activation = std::any_of(
      inputs.begin(), inputs.end(), [&](const IValue& value) { return recorder_.Contains(value); });
  const Passive passive = PassiveKind(kind);
  // add and mul of lists join and repeat them; containers are followed by identity.
  const bool is_list_operator =
      !inputs.empty() && (inputs[0].isList() || inputs[0].isGenericDict()) &&
      Importers().count(kind) != 0 && schema->arguments()[0].name() != "tensors";
  if (!touches_activation || passive == Passive::kQuery || passive == Passive::kMakesNew ||
      is_list_operator) {
    HAQ_ASSIGN_OR_RETURN(std::vector<IValue> outputs, Execute(node, frame, inputs));
    Define(frame.values, node, std::move(outputs));
    return {};
  }
  OpCall call(recorder_, *schema, NameOf(node, frame), inputs);
  HAQ_ASSIGN_OR_RETURN(call.outputs, Execute(node, frame, inputs));
  Import(node, frame, call);
  Define(frame.values, node, std::move(call.outputs));
  inputs.clear();
  recorder_.Sweep();
  return {};
}

std::vector<IValue> Interpreter::InputsOf(const Node& node, const Frame& frame) const {
  std::vector<IValue> inputs;
  for (const torch::jit::Value* input : node.inputs()) inputs.push_back(frame.values.at(input));
  return inputs;
}

std::string Interpreter::PlaceOf(const Node& node, const Frame& frame) const {
  std::string place = frame.scope.empty() ? "the top level" : "'" + frame.scope + "'";
  // Archives have the place in the Python source beside that in their own code.
  const auto range = node.sourceRange();
  const auto original = range.findSourceRangeThatGenerated();
  if (const auto position = original.value_or(range).file_line_col()) {
    const auto& [file, line, column] = *position;
    place += fmt::format(" ({}:{})", file.substr(file.find_last_of('/') + 1), line);
  }
  return place;
}

std::string Interpreter::NameOf(const Node& node, const Frame& frame) const {
  if (frame.scope.empty()) return ShortKind(node);
  return frame.is_leaf ? frame.scope : frame.scope + "." + ShortKind(node);
}

}  // namespace haq::import
