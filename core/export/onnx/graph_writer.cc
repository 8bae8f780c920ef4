#include "core/export/onnx/graph_writer.h"

namespace haq::to_onnx {

using ::onnx::AttributeProto;
using ::onnx::TensorProto;

std::string GraphWriter::UniqueName(const std::string& wanted) {
  std::string name = wanted;
  for (int i = 2; !names_.insert(name).second; ++i) name = wanted + "_" + std::to_string(i);
  return name;
}

TensorProto& GraphWriter::Constant(const std::string& name, const Shape& shape,
                                   TensorProto::DataType type, const void* data, size_t bytes) {
  TensorProto& tensor = *graph.add_initializer();
  tensor.set_name(UniqueName(name));
  tensor.set_data_type(type);
  for (const int64_t dimension : shape) tensor.add_dims(dimension);
  tensor.set_raw_data(data, bytes);
  return tensor;
}

std::string GraphWriter::Floats(const std::string& name, const Shape& shape,
                                const std::vector<float>& values) {
  return Constant(name, shape, TensorProto::FLOAT, values.data(), values.size() * sizeof(float))
      .name();
}

std::string GraphWriter::Bytes(const std::string& name, const Shape& shape,
                               std::span<const uint8_t> values) {
  return Constant(name, shape, TensorProto::UINT8, values.data(), values.size()).name();
}

std::string GraphWriter::SignedBytes(const std::string& name, const Shape& shape,
                                     std::span<const int8_t> values) {
  return Constant(name, shape, TensorProto::INT8, values.data(), values.size()).name();
}

std::string GraphWriter::Int32(const std::string& name, const Shape& shape,
                               const std::vector<int32_t>& values) {
  return Constant(name, shape, TensorProto::INT32, values.data(), values.size() * sizeof(int32_t))
      .name();
}

std::string GraphWriter::Int64(const std::string& name, const std::vector<int64_t>& values) {
  return Constant(name, {static_cast<int64_t>(values.size())}, TensorProto::INT64, values.data(),
                  values.size() * sizeof(int64_t))
      .name();
}

std::string GraphWriter::Node(const std::string& kind, const std::vector<std::string>& inputs,
                              const std::string& output, const std::vector<Attribute>& attributes) {
  ::onnx::NodeProto& node = *graph.add_node();
  const std::string name = UniqueName(output);
  node.set_op_type(kind);
  node.set_name(name + "/" + kind);
  for (const std::string& input : inputs) node.add_input(input);
  node.add_output(name);
  for (const Attribute& attribute : attributes) {
    AttributeProto& proto = *node.add_attribute();
    proto.set_name(attribute.name);
    proto.set_type(attribute.list ? AttributeProto::INTS : AttributeProto::INT);
    if (!attribute.list) proto.set_i(attribute.numbers[0]);
    for (const int64_t number : attribute.numbers) {
      if (attribute.list) proto.add_ints(number);
    }
  }
  return name;
}

void GraphWriter::Rename(const std::string& from, const std::string& to) {
  for (auto& node : *graph.mutable_node()) {
    for (std::string& input : *node.mutable_input()) {
      if (input == from) input = to;
    }
    for (std::string& output : *node.mutable_output()) {
      if (output == from) output = to;
    }
  }
}

}  // namespace haq::to_onnx
