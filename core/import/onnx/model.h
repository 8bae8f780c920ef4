// An ONNX file, unpacked and checked for everything that does not depend on what its operators
// mean. Private to this folder.
#pragma once

#include <onnx/onnx_pb.h>

#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/status.h"
#include "core/import/onnx/scan.h"
#include "core/ir/graph.h"

namespace haq::import::from_onnx {

// Versions of the operator set that are read.
inline constexpr int64_t kFirstOpset = 7, kLastOpset = 17;

struct Model {
  ::onnx::ModelProto proto;
  int64_t opset = 0;
  const ::onnx::ValueInfoProto* input = nullptr;
  std::string output;
  std::unordered_map<std::string_view, const ::onnx::TensorProto*> initializers;
  // Indices of the nodes that the output depends on, in order.
  std::vector<int> needed;

  const ::onnx::GraphProto& graph() const { return proto.graph(); }
};

// "node 'conv1' (Conv)", by its name, else its first output's.
std::string Describe(const ::onnx::NodeProto& node);
// The name of a node, or of its first output where it has none.
std::string NameOf(const ::onnx::NodeProto& node);

// Fills `model` (which holds pointers into itself and must not move). kInvalidArgument: not ONNX,
// damaged, names that are missing or made twice, nodes that read what is made after them (a cycle
// is one of these); kUnsupported: opsets outside of 7..17, other files, subgraphs that are needed,
// more than one input or output; kResourceExhausted: over `limits`.
Status LoadModel(std::span<const uint8_t> bytes, const Limits& limits, Model& model);

// The graph input's shape: `input_shape` with a batch of 1, checked against what the model
// declares.
Result<ir::Shape> InputShape(const Model& model, const std::vector<int64_t>& input_shape);

}  // namespace haq::import::from_onnx
