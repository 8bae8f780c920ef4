// The ONNX project's test cases of single operators (Debian's libonnx-testdata), and running one
// through import and FP32 execution.
#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace haq::test {

struct NodeCase {
  std::string name;
  ::onnx::ModelProto model;
  std::vector<::onnx::TensorProto> inputs;
  std::vector<::onnx::TensorProto> outputs;
};

// Sorted by name. Empty when the package is not installed.
std::vector<NodeCase> ReadNodeCases();

// The first input is the network's, its first dimension the batch; all others are constants. OK
// when the outputs are the expected ones; kUnsupported and kInvalidArgument when the importer
// refuses, anything else is a failure.
Status RunAsNetwork(const NodeCase& node_case);

// All inputs are constants, so that the importer computes the output itself; it is read by adding
// it to the input of a network.
Status RunAsConstants(const NodeCase& node_case);

}  // namespace haq::test
