// Writing an ONNX graph node by node. Private to this folder.
#pragma once

#include <onnx/onnx_pb.h>

#include <span>
#include <string>
#include <unordered_set>
#include <vector>

namespace haq::to_onnx {

using Shape = std::vector<int64_t>;

class GraphWriter {
 public:
  // Constants; what comes back is the name that was free.
  std::string Floats(const std::string& name, const Shape& shape, const std::vector<float>& values);
  std::string Bytes(const std::string& name, const Shape& shape, std::span<const uint8_t> values);
  std::string SignedBytes(const std::string& name, const Shape& shape,
                          std::span<const int8_t> values);
  std::string Int32(const std::string& name, const Shape& shape,
                    const std::vector<int32_t>& values);
  std::string Int64(const std::string& name, const std::vector<int64_t>& values);

  struct Attribute {
    std::string name;
    std::vector<int64_t> numbers;
    bool list = true;
  };
  static Attribute Number(const std::string& name, int64_t value) { return {name, {value}, false}; }
  // A node with one output; returns that one's name, `output` where it is free.
  std::string Node(const std::string& kind, const std::vector<std::string>& inputs,
                   const std::string& output, const std::vector<Attribute>& attributes = {});

  std::string UniqueName(const std::string& wanted);
  // `from`, everywhere, is `to` from now on.
  void Rename(const std::string& from, const std::string& to);

  ::onnx::GraphProto graph;

 private:
  ::onnx::TensorProto& Constant(const std::string& name, const Shape& shape,
                                ::onnx::TensorProto::DataType type, const void* data, size_t bytes);
  std::unordered_set<std::string> names_;
};

}  // namespace haq::to_onnx
