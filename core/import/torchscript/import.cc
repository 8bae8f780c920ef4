#include "core/import/torchscript/import.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "core/import/problems/problems.h"
#include "core/import/torchscript/archive.h"
#include "core/import/torchscript/interpreter.h"
#include "core/import/torchscript/operators.h"
#include "core/ir/passes.h"

namespace haq::import {

namespace {

using c10::IValue;

constexpr int64_t kMaxInputElements = int64_t{1} << 26;

// LibTorch's own adapter for memory does not look where it reads.
class BoundedReader final : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit BoundedReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  size_t size() const override { return bytes_.size(); }
  size_t read(uint64_t position, void* buffer, size_t count, const char*) const override {
    if (position > bytes_.size()) return 0;
    count = std::min<size_t>(count, bytes_.size() - position);
    std::memcpy(buffer, bytes_.data() + position, count);
    return count;
  }

 private:
  std::span<const uint8_t> bytes_;
};

std::string FirstLineOf(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  std::string message = torch_error ? torch_error->what_without_backtrace() : error.what();
  while (!message.empty() && message.front() == '\n') message.erase(0, 1);
  return message.substr(0, message.find('\n'));
}

std::string SupportedList() {
  return fmt::format("supported are {}", fmt::join(SupportedTorchScriptOperators(), ", "));
}

// The bytes that a tensor's sizes and strides reach have to exist; the file says all three.
Status CheckExtent(const std::string& name, const at::Tensor& tensor) {
  if (!tensor.defined() || !tensor.has_storage() || tensor.numel() == 0) return {};
  int64_t last = tensor.storage_offset();
  bool good = last >= 0;
  for (int64_t i = 0; i < tensor.dim() && good; ++i) {
    int64_t reach = 0;
    good = tensor.size(i) >= 0 && tensor.stride(i) >= 0 &&
           !__builtin_mul_overflow(tensor.size(i) - 1, tensor.stride(i), &reach) &&
           !__builtin_add_overflow(last, reach, &last);
  }
  const auto available = static_cast<int64_t>(tensor.storage().nbytes() / tensor.element_size());
  if (good && last < available) return {};
  return InvalidArgument("the archive is damaged: '{}' reaches beyond its data", name);
}

// Half and double precision weights become float.
Status PrepareParameters(torch::jit::Module& module) {
  const auto prepare = [](const std::string& name, at::Tensor tensor) -> Status {
    HAQ_RETURN_IF_ERROR(CheckExtent(name, tensor));
    if (tensor.defined() && tensor.is_floating_point() && tensor.scalar_type() != at::kFloat) {
      tensor.set_data(tensor.detach().to(at::kFloat));
    }
    return {};
  };
  for (const auto& parameter : module.named_parameters()) {
    HAQ_RETURN_IF_ERROR(prepare(parameter.name, parameter.value));
  }
  for (const auto& buffer : module.named_buffers()) {
    HAQ_RETURN_IF_ERROR(prepare(buffer.name, buffer.value));
  }
  return {};
}

Result<torch::jit::Module> Load(std::span<const uint8_t> bytes) {
  HAQ_RETURN_IF_ERROR(CheckTorchScriptArchive(bytes));
  try {
    torch::jit::Module module =
        torch::jit::load(std::make_shared<BoundedReader>(bytes), c10::Device(c10::kCPU));
    module.eval();
    HAQ_RETURN_IF_ERROR(PrepareParameters(module));
    return module;
  } catch (const std::exception& error) {
    const std::string message = FirstLineOf(error);
    if (message.find("Unknown builtin op") != std::string::npos ||
        message.find("unknown builtin op") != std::string::npos) {
      return Unsupported("an operator that LibTorch does not know: {}; {}", message,
                         SupportedList());
    }
    return InvalidArgument("LibTorch cannot load the archive: {}", message);
  }
}

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
  HAQ_ASSIGN_OR_RETURN(const torch::jit::Module module, Load(bytes));
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
