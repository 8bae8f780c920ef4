#include "core/import/torchscript/import.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "core/import/problems/problems.h"
#include "core/import/torchscript/interpreter.h"
#include "core/import/torchscript/load.h"
#include "core/import/torchscript/operators.h"
#include "core/ir/passes.h"

namespace haq::import {

namespace {

using c10::IValue;

constexpr int64_t kMaxInputElements = int64_t{1} << 26;

Result<std::vector<IValue>> ForwardArguments(const torch::jit::Module& module,
                                             const at::Tensor& sample) {
  if (!module.find_method("forward")) return InvalidArgument("the model has no forward method");
  const auto& declared = module.get_method("forward").function().getSchema().arguments();
  if (declared.size() < 2) return InvalidArgument("the model's forward takes no input");
  if (declared[1].type()->kind() != c10::TypeKind::TensorType) {
    return InvalidArgument("the model's forward takes '{}' of type {}, not one tensor",
                           declared[1].name(), declared[1].type()->annotation_str());
  }
  std::vector<IValue> arguments = {sample};
  for (size_t i = 2; i < declared.size(); ++i) {
    if (!declared[i].default_value()) {
      return InvalidArgument("the model's forward takes more than one input: '{}' has no default",
                             declared[i].name());
    }
    arguments.push_back(*declared[i].default_value());
  }
  return arguments;
}

// Every operator once, with the places where it stands; `ended` says why not all of the model was
// looked at, if so.
Status DescribeProblems(const std::vector<Problem>& problems, const Status& ended) {
  // Another build would not help with these.
  for (const Problem& problem : problems) {
    if (!problem.in_the_model) continue;
    return InvalidArgument("{} at {}: {}", problem.operator_name, problem.place, problem.reason);
  }
  std::vector<UnsupportedNode> nodes;
  for (const Problem& problem : problems) {
    const std::string reason = problem.reason.empty() ? "" : " (" + problem.reason + ")";
    nodes.push_back({problem.operator_name + reason, problem.place});
  }
  std::string message = ListUnsupported(nodes);
  if (!ended.ok()) message += fmt::format("; the rest was not reached: {}", ended.message());
  return Unsupported("{}; {}", message, SupportedList());
}

// A tensor, or a tuple or list of one tensor and nothing but None beside it.
Result<at::Tensor> SingleTensor(const IValue& output) {
  if (output.isTensor()) return output.toTensor();
  std::vector<IValue> items;
  if (output.isTuple()) {
    const auto& elements = output.toTupleRef().elements();
    items.assign(elements.begin(), elements.end());
  } else if (output.isList()) {
    items = output.toListRef().vec();
  }
  items.erase(
      std::remove_if(items.begin(), items.end(), [](const IValue& item) { return item.isNone(); }),
      items.end());
  if (items.size() == 1 && items[0].isTensor()) return items[0].toTensor();
  return Unsupported("the model returns {}; it has to return one tensor",
                     output.type()->annotation_str());
}

Result<ir::Graph> Record(const torch::jit::Module& module, const ir::Shape& shape) {
  // Fixed numbers, neither zero nor all alike: they only drive shapes.
  const at::Tensor sample =
      at::arange(c10::multiply_integers(shape), at::kFloat).mul_(0.7f).sin_().reshape(shape);
  HAQ_ASSIGN_OR_RETURN(std::vector<IValue> arguments, ForwardArguments(module, sample));
  Recorder recorder;
  recorder.graph.input = recorder.graph.AddValue(recorder.UniqueName("input"), shape);
  recorder.Track(sample, recorder.graph.input, false);
  Interpreter interpreter(recorder, module);
  const Result<IValue> output = interpreter.Run(std::move(arguments));
  if (!interpreter.problems().empty()) {
    return DescribeProblems(interpreter.problems(), output.status());
  }
  if (!output.ok()) {
    return output.status().WithContext(fmt::format("on an input of {}", ir::ShapeToString(shape)));
  }
  HAQ_ASSIGN_OR_RETURN(const at::Tensor tensor, SingleTensor(*output));
  const Recorder::Tracked* tracked = recorder.Find(tensor);
  if (tracked == nullptr) return InvalidArgument("the model's output does not depend on its input");
  if (tracked->value == kUnknownValue || tracked->stale ||
      ShapeOf(tensor) != recorder.graph.values[tracked->value].shape) {
    return Unsupported("the model's output is a view that the importer could not follow");
  }
  recorder.graph.output = tracked->value;
  return std::move(recorder.graph);
}

Result<ir::Shape> WithBatch(const std::vector<int64_t>& input_shape) {
  ir::Shape shape = input_shape;
  shape.insert(shape.begin(), 1);
  const Result<int64_t> count = ir::ElementCount(shape);
  if (!count.ok()) return InvalidField("input_shape", "{}", count.status().message());
  if (input_shape.empty() || input_shape.size() > 6) {
    return InvalidField("input_shape", "has {} dimensions, allowed are 1 to 6", input_shape.size());
  }
  if (*count > kMaxInputElements) {
    return InvalidField("input_shape", "{} has more than {} elements",
                        ir::ShapeToString(input_shape), kMaxInputElements);
  }
  return shape;
}

}  // namespace

Result<ir::Graph> ImportTorchScript(std::span<const uint8_t> bytes,
                                    const std::vector<int64_t>& input_shape) {
  HAQ_ASSIGN_OR_RETURN(const ir::Shape shape, WithBatch(input_shape));
  HAQ_ASSIGN_OR_RETURN(const torch::jit::Module module, LoadTorchScript(bytes));
  try {
    const at::NoGradGuard no_grad;
    HAQ_ASSIGN_OR_RETURN(ir::Graph graph, Record(module, shape));
    ir::RemoveDeadNodes(graph);
    HAQ_RETURN_IF_ERROR(ir::Simplify(graph));
    return graph;
  } catch (const std::exception& error) {
    return InvalidArgument("LibTorch cannot run the model: {}", FirstLineOf(error));
  }
}

std::vector<std::string> SupportedTorchScriptOperators() {
  std::vector<std::string> names;
  for (const auto& [name, importer] : Importers()) names.push_back(name);
  return names;
}

}  // namespace haq::import
