#include "core/import/onnx/import.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/import/onnx/fold.h"
#include "core/import/onnx/model.h"
#include "core/import/onnx/operators.h"
#include "core/import/problems/problems.h"
#include "core/ir/passes.h"

namespace haq::import {

namespace {

using namespace from_onnx;
using ::onnx::NodeProto;

std::string SupportedList() {
  return fmt::format("supported are {}", fmt::join(SupportedOnnxOperators(), ", "));
}

bool IsStandard(const NodeProto& node) {
  return node.domain().empty() || node.domain() == "ai.onnx";
}

std::string KindOf(const NodeProto& node) {
  const std::string kind = node.op_type().substr(0, 80);
  return IsStandard(node) ? kind : fmt::format("{}::{}", node.domain().substr(0, 80), kind);
}

// A node that cannot be imported, and why if its operator is known.
struct Problem {
  std::string kind, reason, place;
};

// Every operator once, with the nodes where it stands.
Status DescribeProblems(const std::vector<Problem>& problems) {
  std::vector<UnsupportedNode> nodes;
  for (const Problem& problem : problems) {
    const std::string reason = problem.reason.empty() ? "" : " (" + problem.reason + ")";
    nodes.push_back({problem.kind + reason, problem.place});
  }
  const std::string message = ListUnsupported(nodes);
  const bool unknown = std::any_of(problems.begin(), problems.end(),
                                   [](const Problem& problem) { return problem.reason.empty(); });
  return unknown ? Unsupported("{}; {}", message, SupportedList()) : Unsupported("{}", message);
}

Limits LimitsFor(size_t file_bytes) {
  Limits limits;
  const auto bytes = static_cast<int64_t>(file_bytes);
  limits.folded_elements += bytes;
  limits.computed_elements += 8 * bytes;
  return limits;
}

// Walks the nodes in order and makes the graph.
class Walk {
 public:
  Walk(const Model& model, const Limits& limits) : model_(model), limits_(limits) {}

  const Recorder& recorder() const { return recorder_; }

  Result<ir::Graph> Run(const ir::Shape& input_shape) {
    recorder_.graph.input =
        recorder_.graph.AddValue(recorder_.UniqueName(model_.input->name()), input_shape);
    recorder_.known[model_.input->name()] = {recorder_.graph.input, nullptr};
    tensor_names_.emplace(recorder_.graph.input, model_.input->name());
    CountReaders();
    for (const int index : model_.needed) {
      const NodeProto& node = model_.graph().node(index);
      HAQ_RETURN_IF_ERROR(Visit(node).WithContext(Describe(node)));
    }
    if (!problems_.empty()) return DescribeProblems(problems_);
    const Known& output = recorder_.known[model_.output];
    if (output.value < 0) {
      return InvalidArgument("the model's output '{}' does not depend on its input", model_.output);
    }
    if (output.quantized) {
      return Unsupported(
          "the model's output '{}' are levels; it has to end with a DequantizeLinear",
          model_.output);
    }
    recorder_.graph.output = output.value;
    NameValues();
    return recorder_.graph;
  }

 private:
  void CountReaders() {
    for (const int index : model_.needed) {
      for (const std::string& input : model_.graph().node(index).input()) {
        if (!input.empty()) ++recorder_.readers[input];
      }
    }
    ++recorder_.readers[model_.output];
  }

  // What stands behind an input; initializers are unpacked when they are first read.
  Result<Known> InputOf(const std::string& name) {
    if (name.empty()) return Known{};
    Known& known = recorder_.known[name];
    const auto initializer = model_.initializers.find(name);
    if (known.unknown() && initializer != model_.initializers.end()) {
      Result<TensorPtr> tensor = Decode(*initializer->second);
      if (!tensor.ok()) return tensor.status().WithContext("initializer '" + name + "'");
      HAQ_RETURN_IF_ERROR(Charge(**tensor));
      known.constant = *std::move(tensor);
    }
    return known;
  }

  Status Charge(const Tensor& tensor) {
    recorder_.elements += tensor.count();
    if (recorder_.elements <= limits_.computed_elements) return {};
    return ResourceExhausted("a model of this size may compute {} constants",
                             limits_.computed_elements);
  }

  // Constants that nothing reads any more are given up: weights are large.
  void Release(const NodeProto& node) {
    for (const std::string& input : node.input()) {
      if (!input.empty() && --recorder_.readers[input] == 0)
        recorder_.known[input].constant = nullptr;
    }
  }

  Status Visit(const NodeProto& node) {
    std::vector<Known> inputs;
    bool unknown = false;
    for (const std::string& name : node.input()) {
      HAQ_ASSIGN_OR_RETURN(inputs.emplace_back(), InputOf(name));
      unknown |= !name.empty() && inputs.back().unknown();
    }
    NodeCall call(recorder_, node, model_.opset, std::move(inputs), limits_);
    const Status status = Import(node, call, unknown);
    if (status.code() == StatusCode::kUnsupported) {
      problems_.push_back({KindOf(node), status.message(), NameOf(node).substr(0, 200)});
    } else if (!status.ok()) {
      return status;
    } else {
      HAQ_RETURN_IF_ERROR(Remember(node, call));
    }
    Release(node);
    return {};
  }

  // With `unknown` inputs only the operator itself is looked at.
  Status Import(const NodeProto& node, NodeCall& call, bool unknown) {
    const bool standard = IsStandard(node);
    const auto importer = Importers().find(node.op_type());
    const auto folder = Folders().find(node.op_type());
    const bool importable = standard && importer != Importers().end();
    const bool foldable = standard && folder != Folders().end();
    if (!importable && !foldable) return Unsupported("");
    if (unknown) return {};
    if (foldable && (IsConstant(call) || node.op_type() == "Shape" || node.op_type() == "Size")) {
      return folder->second(call);
    }
    if (IsConstant(call)) return Unsupported("of constants only");
    if (!importable) return Unsupported("of an activation");
    if (!TakesLevels(node.op_type())) HAQ_RETURN_IF_ERROR(call.RefuseLevels());
    return importer->second(call);
  }

  static bool TakesLevels(const std::string& kind) {
    return kind == "DequantizeLinear" || kind == "Cast" || kind == "Gather";
  }

  static bool IsConstant(const NodeCall& call) {
    for (size_t i = 0; i < call.InputCount(); ++i) {
      if (call.IsActivation(i)) return false;
    }
    return true;
  }

  Status Remember(const NodeProto& node, const NodeCall& call) {
    for (size_t i = 0; i < call.results().size() && i < call.OutputCount(); ++i) {
      const Known& result = call.results()[i];
      const std::string& name = node.output(static_cast<int>(i));
      if (name.empty()) continue;
      recorder_.known[name] = result;
      if (result.constant) HAQ_RETURN_IF_ERROR(Charge(*result.constant));
      if (result.value >= 0) tensor_names_.emplace(result.value, name);
    }
    return {};
  }

  // Values have the model's names for them, apart from those that stand inside of an operator.
  void NameValues() {
    std::set<std::string> taken;
    for (size_t i = 0; i < recorder_.graph.values.size(); ++i) {
      std::string& name = recorder_.graph.values[i].name;
      const auto own = tensor_names_.find(static_cast<ir::ValueId>(i));
      const std::string wanted = own == tensor_names_.end() ? name : own->second;
      name = wanted;
      for (int n = 2; !taken.insert(name).second; ++n) name = fmt::format("{}_{}", wanted, n);
    }
  }

  const Model& model_;
  const Limits& limits_;
  Recorder recorder_;
  std::map<ir::ValueId, std::string> tensor_names_;
  std::vector<Problem> problems_;
};

}  // namespace

namespace {

// What was said of the recorder's values and nodes, for those that are left in `graph`: they are
// known by their names.
ir::GivenQuantization GivenFor(const ir::Graph& graph, const Recorder& recorder) {
  std::map<std::string_view, ir::GivenQuantization::Levels> levels;
  for (const auto& [value, given] : recorder.given) {
    levels[recorder.graph.values[value].name] = given;
  }
  ir::GivenQuantization result;
  for (size_t i = 0; i < graph.values.size(); ++i) {
    const auto given = levels.find(graph.values[i].name);
    if (given != levels.end()) result.values[static_cast<ir::ValueId>(i)] = given->second;
  }
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const auto scales = recorder.weight_scales.find(graph.nodes[i].name);
    if (scales != recorder.weight_scales.end()) {
      result.weights[static_cast<int>(i)] = scales->second;
    }
  }
  // Weights alone are no quantized model: it has to be calibrated like any other.
  if (result.values.empty()) result.weights.clear();
  return result;
}

}  // namespace

Result<ir::Graph> ImportOnnx(std::span<const uint8_t> bytes,
                             const std::vector<int64_t>& input_shape,
                             ir::GivenQuantization* given) {
  const Limits limits = LimitsFor(bytes.size());
  Model model;
  HAQ_RETURN_IF_ERROR(LoadModel(bytes, limits, model));
  HAQ_ASSIGN_OR_RETURN(const ir::Shape shape, InputShape(model, input_shape));
  Walk walk(model, limits);
  HAQ_ASSIGN_OR_RETURN(ir::Graph graph, walk.Run(shape));
  ir::RemoveDeadNodes(graph);
  HAQ_RETURN_IF_ERROR(ir::Simplify(graph));
  if (given != nullptr) *given = GivenFor(graph, walk.recorder());
  return graph;
}

std::vector<std::string> SupportedOnnxOperators() {
  std::set<std::string> names;
  for (const auto& [name, importer] : Importers()) names.insert(name);
  for (const auto& [name, folder] : Folders()) names.insert(name);
  names.erase("ConvTranspose");
  return {names.begin(), names.end()};
}

}  // namespace haq::import
