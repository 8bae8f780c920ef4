#include "tests/unit/core/import/onnx/node_cases.h"

#include <algorithm>
#include <cmath>
#include <fstream>

#include "core/float_exec/executor.h"
#include "core/import/onnx/import.h"
#include "core/import/onnx/tensor.h"
#include "tests/support/onnx_model.h"

namespace haq::test {

namespace {

using ::onnx::ModelProto;
using ::onnx::TensorProto;

constexpr int64_t kFirstOpset = 7;
constexpr char kFolder[] = "/usr/share/libonnx-testdata/data/node";

template <typename Message>
bool ReadMessage(const std::filesystem::path& path, Message& message) {
  std::ifstream file(path, std::ios::binary);
  return file && message.ParseFromIstream(&file);
}

std::vector<TensorProto> ReadTensors(const std::filesystem::path& folder, const std::string& kind) {
  std::vector<TensorProto> tensors;
  for (int i = 0;; ++i) {
    TensorProto tensor;
    if (!ReadMessage(folder / (kind + "_" + std::to_string(i) + ".pb"), tensor)) return tensors;
    tensors.push_back(std::move(tensor));
  }
}

// The model's inputs from the second on, or from the first on, become initializers.
void MakeConstant(const NodeCase& node_case, size_t first, ModelProto& model) {
  // Optional inputs that the node leaves out have no place among the model's.
  for (size_t i = first; i < node_case.inputs.size(); ++i) {
    TensorProto& tensor = *model.mutable_graph()->add_initializer();
    tensor = node_case.inputs[i];
    tensor.set_name(node_case.model.graph().input(static_cast<int>(i)).name());
  }
}

Status Compare(const std::vector<float>& actual, const import::from_onnx::Tensor& expected) {
  if (actual.size() != static_cast<size_t>(expected.count())) {
    return InternalError("{} elements instead of {}", actual.size(), expected.count());
  }
  double largest = 1;
  for (int64_t i = 0; i < expected.count(); ++i) {
    largest = std::max(largest, std::abs(expected.At(i)));
  }
  for (int64_t i = 0; i < expected.count(); ++i) {
    if (std::abs(actual[i] - expected.At(i)) <= 1e-5 * largest) continue;
    return InternalError("element {} is {} instead of {}", i, actual[i], expected.At(i));
  }
  return {};
}

Result<std::vector<float>> RunGraph(const ModelProto& model,
                                    const std::vector<int64_t>& sample_shape, int64_t n,
                                    const std::vector<float>& input) {
  HAQ_ASSIGN_OR_RETURN(const ir::Graph graph, import::ImportOnnx(BytesOf(model), sample_shape));
  HAQ_ASSIGN_OR_RETURN(const auto executor, float_exec::Executor::Create(graph, 1));
  HAQ_ASSIGN_OR_RETURN(const int64_t each, ir::ElementCount(graph.values[graph.output].shape));
  std::vector<float> output(n * each);
  HAQ_RETURN_IF_ERROR(executor->Run(n, input, output));
  return output;
}

// Only output `index` is asked for: a network has one.
void KeepOutput(ModelProto& model, int index) {
  const ::onnx::ValueInfoProto output = model.graph().output(index);
  model.mutable_graph()->clear_output();
  *model.mutable_graph()->add_output() = output;
}

}  // namespace

std::vector<NodeCase> ReadNodeCases() {
  std::vector<NodeCase> cases;
  if (!std::filesystem::exists(kFolder)) return cases;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    NodeCase read;
    read.name = entry.path().filename().string();
    if (!ReadMessage(entry.path() / "model.onnx", read.model)) continue;
    // The case of an operator names the opset that it was last changed in.
    for (auto& opset : *read.model.mutable_opset_import()) {
      opset.set_version(std::max<int64_t>(opset.version(), kFirstOpset));
    }
    read.inputs = ReadTensors(entry.path() / "test_data_set_0", "input");
    read.outputs = ReadTensors(entry.path() / "test_data_set_0", "output");
    cases.push_back(std::move(read));
  }
  std::sort(cases.begin(), cases.end(),
            [](const NodeCase& a, const NodeCase& b) { return a.name < b.name; });
  return cases;
}

Status RunAsNetwork(const NodeCase& node_case) {
  if (node_case.inputs.empty()) return Unsupported("it has no input");
  HAQ_ASSIGN_OR_RETURN(const auto input, import::from_onnx::Decode(node_case.inputs[0]));
  if (!input->is_float() || input->shape.empty()) {
    return Unsupported("its first input is no batch of floats");
  }
  for (int i = 0; i < node_case.model.graph().output_size(); ++i) {
    ModelProto model = node_case.model;
    MakeConstant(node_case, 1, model);
    KeepOutput(model, i);
    HAQ_ASSIGN_OR_RETURN(const auto expected, import::from_onnx::Decode(node_case.outputs[i]));
    HAQ_ASSIGN_OR_RETURN(const std::vector<float> actual,
                         RunGraph(model, {input->shape.begin() + 1, input->shape.end()},
                                  input->shape[0], input->floats));
    HAQ_RETURN_IF_ERROR(Compare(actual, *expected));
  }
  return {};
}

Status RunAsConstants(const NodeCase& node_case) {
  for (int i = 0; i < node_case.model.graph().output_size(); ++i) {
    HAQ_ASSIGN_OR_RETURN(const auto expected, import::from_onnx::Decode(node_case.outputs[i]));
    const int64_t count = expected->count();
    if (count == 0) return Unsupported("its output is empty");
    OnnxModel model({1, count});
    model.graph().mutable_input(0)->set_name("the network's input");
    model.proto.mutable_opset_import()->CopyFrom(node_case.model.opset_import());
    for (const auto& node : node_case.model.graph().node()) *model.graph().add_node() = node;
    MakeConstant(node_case, 0, model.proto);
    Set(model.Node("Cast", {node_case.model.graph().output(i).name()}, "the output as floats"),
        "to", int64_t{TensorProto::FLOAT});
    model.Integers("the shape of a row", {2}, {1, count})
        .Node("Reshape", {"the output as floats", "the shape of a row"}, "the output as a row");
    model.Node("Add", {"the network's input", "the output as a row"}, "the sum");
    ModelProto proto;
    const std::vector<uint8_t> bytes = model.Bytes();
    proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    HAQ_ASSIGN_OR_RETURN(const std::vector<float> actual,
                         RunGraph(proto, {count}, 1, std::vector<float>(count, 0)));
    HAQ_RETURN_IF_ERROR(Compare(actual, *expected));
  }
  return {};
}

}  // namespace haq::test
