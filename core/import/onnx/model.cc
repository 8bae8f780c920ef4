#include "core/import/onnx/model.h"

#include <fmt/ranges.h>
#include <google/protobuf/io/coded_stream.h>
#include <onnx/checker.h>

#include <unordered_set>

#include "core/import/detect/detect.h"

namespace haq::import::from_onnx {

namespace {

using ::onnx::GraphProto;
using ::onnx::NodeProto;
using ::onnx::TensorProto;

// Elements of the network's input, as for TorchScript.
constexpr int64_t kMaxInputElements = int64_t{1} << 26;

bool IsStandard(const std::string& domain) { return domain.empty() || domain == "ai.onnx"; }

Status Unpack(std::span<const uint8_t> bytes, Model& model) {
  google::protobuf::io::CodedInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  if (model.proto.ParseFromCodedStream(&stream) && stream.ConsumedEntireMessage()) return {};
  return InvalidArgument("the file is no ONNX model: protobuf cannot unpack it");
}

Status ReadOpset(Model& model) {
  for (const auto& opset : model.proto.opset_import()) {
    if (IsStandard(opset.domain())) model.opset = opset.version();
  }
  if (model.opset >= kFirstOpset && model.opset <= kLastOpset) return {};
  return Unsupported("the model uses version {} of ONNX's operators; supported are {} to {}",
                     model.opset, kFirstOpset, kLastOpset);
}

Status CheckName(const std::string& name, const Limits& limits) {
  if (static_cast<int64_t>(name.size()) <= limits.name_bytes) return {};
  return ResourceExhausted("the name '{}...' has {} bytes, allowed are {}", name.substr(0, 80),
                           name.size(), limits.name_bytes);
}

Status ReadInitializers(const Limits& limits, Model& model) {
  if (model.graph().sparse_initializer_size() > 0) {
    return Unsupported("the model has sparse initializers");
  }
  for (const TensorProto& tensor : model.graph().initializer()) {
    HAQ_RETURN_IF_ERROR(CheckName(tensor.name(), limits));
    if (!model.initializers.emplace(tensor.name(), &tensor).second) {
      return InvalidArgument("two initializers have the name '{}'", tensor.name());
    }
  }
  return {};
}

Status ReadEdges(const Limits& limits, Model& model) {
  std::vector<std::string> inputs, outputs;
  for (const auto& input : model.graph().input()) {
    HAQ_RETURN_IF_ERROR(CheckName(input.name(), limits));
    if (model.initializers.contains(input.name())) continue;
    model.input = &input;
    if (inputs.size() < 20) inputs.push_back(input.name());
  }
  for (const auto& output : model.graph().output()) {
    HAQ_RETURN_IF_ERROR(CheckName(output.name(), limits));
    model.output = output.name();
    if (outputs.size() < 20) outputs.push_back(output.name());
  }
  if (inputs.size() != 1) {
    return Unsupported("the model takes {} inputs ({}); it has to take one tensor", inputs.size(),
                       fmt::join(inputs, ", "));
  }
  if (outputs.size() != 1) {
    return Unsupported("the model returns {} outputs ({}); it has to return one tensor",
                       outputs.size(), fmt::join(outputs, ", "));
  }
  return {};
}

// Who makes a name: a node's index, or -1 for the input and the initializers.
using Makers = std::unordered_map<std::string_view, int>;

Status CollectMakers(const Limits& limits, const Model& model, Makers& makers) {
  makers.emplace(model.input->name(), -1);
  for (const auto& [name, tensor] : model.initializers) makers.emplace(name, -1);
  for (int i = 0; i < model.graph().node_size(); ++i) {
    const NodeProto& node = model.graph().node(i);
    HAQ_RETURN_IF_ERROR(CheckName(node.name(), limits));
    HAQ_RETURN_IF_ERROR(CheckName(node.op_type(), limits));
    for (const std::string& output : node.output()) {
      HAQ_RETURN_IF_ERROR(CheckName(output, limits));
      if (output.empty() || makers.emplace(output, i).second) continue;
      return InvalidArgument("{} makes '{}', which exists already", Describe(node), output);
    }
  }
  return {};
}

Status CheckOrder(const Model& model, const Makers& makers) {
  for (int i = 0; i < model.graph().node_size(); ++i) {
    const NodeProto& node = model.graph().node(i);
    for (const std::string& input : node.input()) {
      if (input.empty()) continue;
      const auto maker = makers.find(input);
      if (maker == makers.end()) {
        return InvalidArgument("{} reads '{}', which is no input, no initializer and no node makes",
                               Describe(node), input.substr(0, 200));
      }
      if (maker->second < i) continue;
      return InvalidArgument(
          "{} reads '{}', which {} makes at or after it: the nodes of a graph stand in order of "
          "execution, without cycles",
          Describe(node), input, Describe(model.graph().node(maker->second)));
    }
  }
  if (makers.contains(model.output)) return {};
  return InvalidArgument("no node makes the model's output '{}'", model.output);
}

void FindNeeded(Model& model, const Makers& makers) {
  std::vector<bool> needed(model.graph().node_size(), false);
  const auto need = [&](const std::string& name) {
    const auto maker = makers.find(name);
    if (maker != makers.end() && maker->second >= 0) needed[maker->second] = true;
  };
  need(model.output);
  for (int i = model.graph().node_size(); i-- > 0;) {
    if (!needed[i]) continue;
    for (const std::string& input : model.graph().node(i).input()) need(input);
  }
  for (int i = 0; i < model.graph().node_size(); ++i) {
    if (needed[i]) model.needed.push_back(i);
  }
}

bool HasSubgraph(const NodeProto& node) {
  for (const auto& attribute : node.attribute()) {
    if (attribute.has_g() || attribute.graphs_size() > 0) return true;
  }
  return false;
}

// ONNX's checker looks for such files; nothing of a model that somebody sends may make it.
Status CheckAttributes(const NodeProto& node) {
  const auto is_elsewhere = [](const TensorProto& tensor) {
    return tensor.data_location() == TensorProto::EXTERNAL || tensor.external_data_size() > 0;
  };
  for (const auto& attribute : node.attribute()) {
    bool elsewhere = is_elsewhere(attribute.t());
    for (const TensorProto& tensor : attribute.tensors()) elsewhere |= is_elsewhere(tensor);
    if (!elsewhere) continue;
    return Unsupported(
        "{}: attribute '{}' has its data in another file; save the model as one file",
        Describe(node), attribute.name().substr(0, 80));
  }
  return {};
}

// Operators of the standard as its schema wants them: ONNX's own checker. Unknown operators and
// those with subgraphs are the importer's to name.
Status CheckSchemas(const Model& model) {
  ::onnx::checker::CheckerContext context;
  context.set_ir_version(static_cast<int>(model.proto.ir_version()));
  context.set_opset_imports({{"", static_cast<int>(model.opset)}});
  const ::onnx::checker::LexicalScopeContext scope;
  const auto* registry = ::onnx::OpSchemaRegistry::Instance();
  for (const int i : model.needed) {
    const NodeProto& node = model.graph().node(i);
    HAQ_RETURN_IF_ERROR(CheckAttributes(node));
    const bool known = IsStandard(node.domain()) &&
                       registry->GetSchema(node.op_type(), static_cast<int>(model.opset), "");
    if (!known || HasSubgraph(node)) continue;
    try {
      ::onnx::checker::check_node(node, context, scope);
    } catch (const std::exception& error) {
      std::string message = error.what();
      message = message.substr(0, std::min<size_t>(message.find('\n'), 500));
      return InvalidArgument("{}: {}", Describe(node), message);
    }
  }
  return {};
}

}  // namespace

std::string NameOf(const NodeProto& node) {
  if (!node.name().empty()) return node.name();
  return node.output_size() > 0 ? node.output(0) : std::string();
}

std::string Describe(const NodeProto& node) {
  return fmt::format("node '{}' ({})", NameOf(node).substr(0, 200), node.op_type().substr(0, 80));
}

Status LoadModel(std::span<const uint8_t> bytes, const Limits& limits, Model& model) {
  HAQ_ASSIGN_OR_RETURN(const ModelFormat format, DetectFormat(bytes));
  if (format != ModelFormat::kOnnx) return InvalidArgument("the file is no ONNX model");
  HAQ_RETURN_IF_ERROR(ScanModel(bytes, limits));
  HAQ_RETURN_IF_ERROR(Unpack(bytes, model));
  HAQ_RETURN_IF_ERROR(ReadOpset(model));
  HAQ_RETURN_IF_ERROR(ReadInitializers(limits, model));
  HAQ_RETURN_IF_ERROR(ReadEdges(limits, model));
  Makers makers;
  HAQ_RETURN_IF_ERROR(CollectMakers(limits, model, makers));
  HAQ_RETURN_IF_ERROR(CheckOrder(model, makers));
  FindNeeded(model, makers);
  return CheckSchemas(model);
}

Result<ir::Shape> InputShape(const Model& model, const std::vector<int64_t>& input_shape) {
  ir::Shape shape = input_shape;
  shape.insert(shape.begin(), 1);
  const Result<int64_t> count = ir::ElementCount(shape);
  if (!count.ok()) return InvalidField("input_shape", "{}", count.status().message());
  if (*count > kMaxInputElements) {
    return InvalidField("input_shape", "{} has more than {} elements",
                        ir::ShapeToString(input_shape), kMaxInputElements);
  }
  const auto& type = model.input->type().tensor_type();
  if (type.elem_type() != TensorProto::FLOAT) {
    return Unsupported("the model's input '{}' has elements of type {}; it has to take floats",
                       model.input->name(), type.elem_type());
  }
  if (!type.has_shape()) return shape;
  if (type.shape().dim_size() != static_cast<int>(shape.size())) {
    return InvalidField("input_shape",
                        "has {} dimensions, the model's input '{}' has {} after the batch",
                        input_shape.size(), model.input->name(), type.shape().dim_size() - 1);
  }
  for (int i = 1; i < type.shape().dim_size(); ++i) {
    const auto& dimension = type.shape().dim(i);
    if (!dimension.has_dim_value() || dimension.dim_value() == shape[i]) continue;
    return InvalidField("input_shape", "is {}, the model's input '{}' has {} in dimension {}",
                        ir::ShapeToString(input_shape), model.input->name(), dimension.dim_value(),
                        i);
  }
  return shape;
}

}  // namespace haq::import::from_onnx
