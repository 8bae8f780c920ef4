// ONNX models for tests, written node by node.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <string>
#include <vector>

namespace haq::test {

class OnnxModel {
 public:
  // One input "x" of that shape; -1 is a dimension without a number. The output is what the last
  // node makes, or what Output says.
  explicit OnnxModel(const std::vector<int64_t>& shape, int64_t opset = 13);

  // A node that makes `output`; its name is "node_" + output.
  ::onnx::NodeProto& Node(const std::string& kind, const std::vector<std::string>& inputs,
                          const std::string& output);
  OnnxModel& Floats(const std::string& name, const std::vector<int64_t>& shape,
                    const std::vector<float>& values);
  // As many of the values 0.1, -0.2, 0.3, ... as the shape needs.
  OnnxModel& Weights(const std::string& name, const std::vector<int64_t>& shape);
  OnnxModel& Integers(const std::string& name, const std::vector<int64_t>& shape,
                      const std::vector<int64_t>& values);
  OnnxModel& Output(const std::string& name);

  ::onnx::GraphProto& graph() { return *proto.mutable_graph(); }
  std::vector<uint8_t> Bytes();

  ::onnx::ModelProto proto;

 private:
  std::string output_;
};

// Attributes.
void Set(::onnx::NodeProto& node, const std::string& name, int64_t value);
void Set(::onnx::NodeProto& node, const std::string& name, float value);
void Set(::onnx::NodeProto& node, const std::string& name, const std::string& value);
void Set(::onnx::NodeProto& node, const std::string& name, const std::vector<int64_t>& values);

std::vector<uint8_t> BytesOf(const ::onnx::ModelProto& proto);

}  // namespace haq::test
