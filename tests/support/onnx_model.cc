#include "tests/support/onnx_model.h"

#include <functional>
#include <numeric>

namespace haq::test {

using ::onnx::AttributeProto;
using ::onnx::TensorProto;

OnnxModel::OnnxModel(const std::vector<int64_t>& shape, int64_t opset) {
  proto.set_ir_version(7);
  proto.add_opset_import()->set_version(opset);
  graph().set_name("test");
  auto* input = graph().add_input();
  input->set_name("x");
  auto* type = input->mutable_type()->mutable_tensor_type();
  type->set_elem_type(TensorProto::FLOAT);
  for (const int64_t dimension : shape) {
    auto* dim = type->mutable_shape()->add_dim();
    if (dimension < 0) {
      dim->set_dim_param("N");
    } else {
      dim->set_dim_value(dimension);
    }
  }
}

::onnx::NodeProto& OnnxModel::Node(const std::string& kind, const std::vector<std::string>& inputs,
                                   const std::string& output) {
  ::onnx::NodeProto& node = *graph().add_node();
  node.set_op_type(kind);
  node.set_name("node_" + output);
  for (const std::string& input : inputs) node.add_input(input);
  node.add_output(output);
  output_ = output;
  return node;
}

OnnxModel& OnnxModel::Floats(const std::string& name, const std::vector<int64_t>& shape,
                             const std::vector<float>& values) {
  TensorProto& tensor = *graph().add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(TensorProto::FLOAT);
  for (const int64_t dimension : shape) tensor.add_dims(dimension);
  for (const float value : values) tensor.add_float_data(value);
  return *this;
}

OnnxModel& OnnxModel::Weights(const std::string& name, const std::vector<int64_t>& shape) {
  const int64_t count =
      std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) {
    values.push_back((i % 2 == 0 ? 0.1f : -0.1f) * static_cast<float>(i % 7 + 1));
  }
  return Floats(name, shape, values);
}

OnnxModel& OnnxModel::Integers(const std::string& name, const std::vector<int64_t>& shape,
                               const std::vector<int64_t>& values) {
  TensorProto& tensor = *graph().add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(TensorProto::INT64);
  for (const int64_t dimension : shape) tensor.add_dims(dimension);
  for (const int64_t value : values) tensor.add_int64_data(value);
  return *this;
}

OnnxModel& OnnxModel::Output(const std::string& name) {
  output_ = name;
  return *this;
}

std::vector<uint8_t> OnnxModel::Bytes() {
  graph().clear_output();
  graph().add_output()->set_name(output_);
  return BytesOf(proto);
}

namespace {

AttributeProto& Add(::onnx::NodeProto& node, const std::string& name,
                    AttributeProto::AttributeType type) {
  AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(type);
  return attribute;
}

}  // namespace

void Set(::onnx::NodeProto& node, const std::string& name, int64_t value) {
  Add(node, name, AttributeProto::INT).set_i(value);
}
void Set(::onnx::NodeProto& node, const std::string& name, float value) {
  Add(node, name, AttributeProto::FLOAT).set_f(value);
}
void Set(::onnx::NodeProto& node, const std::string& name, const std::string& value) {
  Add(node, name, AttributeProto::STRING).set_s(value);
}
void Set(::onnx::NodeProto& node, const std::string& name, const std::vector<int64_t>& values) {
  AttributeProto& attribute = Add(node, name, AttributeProto::INTS);
  for (const int64_t value : values) attribute.add_ints(value);
}

std::vector<uint8_t> BytesOf(const ::onnx::ModelProto& proto) {
  std::vector<uint8_t> bytes(proto.ByteSizeLong());
  proto.SerializeToArray(bytes.data(), static_cast<int>(bytes.size()));
  return bytes;
}

}  // namespace haq::test
