// One node of the model: what its importer sees. Private to this folder.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/base/status.h"
#include "core/import/onnx/model.h"
#include "core/import/onnx/tensor.h"
#include "core/ir/given_quantization.h"
#include "core/ir/graph.h"

namespace haq::import::from_onnx {

// Levels that a constant has for other levels. Which function that is can be said when the scale of
// the result is known; its value is made then, once.
struct Lookup {
  std::vector<int64_t> table;
  ir::ValueId made = -1;
};

// What a name of the model stands for: a value of the graph, or a constant. Neither when the node
// that makes it could not be imported.
struct Known {
  ir::ValueId value = -1;
  TensorPtr constant = nullptr;
  bool quantized = false;  // the levels of the value, which a DequantizeLinear makes real
  bool is_signed = false;  // the levels are int8
  std::shared_ptr<Lookup> lookup = nullptr;  // the levels that it has for those of the value
  bool unknown() const { return value < 0 && !constant; }
};

// The graph while it is made.
struct Recorder {
  ir::Graph graph;
  std::unordered_map<std::string, Known> known;
  std::unordered_set<std::string> names;
  // How many needed nodes have yet to read a name of the model; its output counts once.
  std::unordered_map<std::string, int> readers;
  // What QuantizeLinear said of values, and DequantizeLinear of the weights of nodes, by name.
  std::unordered_map<ir::ValueId, ir::GivenQuantization::Levels> given;
  std::unordered_map<std::string, std::vector<float>> weight_scales;
  int64_t inputs = 0;    // of all nodes so far
  int64_t elements = 0;  // of all constants so far, as Limits::computed_elements counts

  // `wanted`, or with a number appended when that name is taken.
  std::string UniqueName(const std::string& wanted);
};

class NodeCall {
 public:
  NodeCall(Recorder& recorder, const ::onnx::NodeProto& node, int64_t opset, std::vector<Known> in,
           const Limits& limits)
      : recorder_(recorder), node_(node), opset_(opset), inputs_(std::move(in)), limits_(limits) {}

  const std::string& kind() const { return node_.op_type(); }
  int64_t opset() const { return opset_; }
  const Limits& limits() const { return limits_; }

  // Inputs, by position. An absent optional input is neither.
  size_t InputCount() const { return inputs_.size(); }
  size_t OutputCount() const { return static_cast<size_t>(node_.output_size()); }
  bool Has(size_t input) const { return IsActivation(input) || IsConstant(input); }
  bool IsActivation(size_t input) const;
  bool IsConstant(size_t input) const;
  const Known& InputAt(size_t input) const { return inputs_[input]; }
  // kUnsupported when it is absent, or the other kind.
  Result<ir::ValueId> Activation(size_t input = 0) const;
  Result<TensorPtr> ConstantOf(size_t input) const;
  // A constant list of integers, and one of a single element.
  Result<std::vector<int64_t>> IntegersOf(size_t input) const;
  Result<double> NumberOf(size_t input) const;

  // Attributes; `otherwise` when absent. kInvalidArgument when it has another type.
  bool HasAttribute(std::string_view name) const { return Find(name) != nullptr; }
  Result<int64_t> Int(std::string_view name, int64_t otherwise) const;
  Result<float> Float(std::string_view name, float otherwise) const;
  Result<std::vector<int64_t>> Ints(std::string_view name,
                                    const std::vector<int64_t>& otherwise) const;
  Result<std::vector<float>> Floats(std::string_view name,
                                    const std::vector<float>& otherwise) const;
  Result<std::string> Text(std::string_view name, const std::string& otherwise) const;
  Result<TensorPtr> TensorOf(std::string_view name) const;
  // What older opsets have as an attribute and newer ones as input `input`. Empty when in neither.
  Result<std::vector<int64_t>> IntsOrInput(std::string_view name, size_t input) const;
  // An axis that counts from the end of `rank` dimensions when negative.
  static Result<int64_t> Axis(int64_t axis, int64_t rank);
  static Result<std::vector<int64_t>> Axes(std::vector<int64_t> axes, int64_t rank);

  const ir::Shape& ShapeOf(ir::ValueId value) const { return recorder_.graph.values[value].shape; }

  // Appends a node. The one without `part` has the model's name for it and its output's, others get
  // their part appended. kUnsupported when the graph's operator cannot do this.
  Result<ir::ValueId> Emit(ir::Op op, const std::vector<ir::ValueId>& inputs,
                           const ir::Shape& declared = {}, std::string_view part = "");
  // Emits a Reshape unless the shape is that already.
  Result<ir::ValueId> EmitReshape(ir::ValueId value, const ir::Shape& shape,
                                  std::string_view part = "reshape");

  // `x` cut to what its levels can say, unless what makes it comes to that anyway; known by these
  // levels from now on.
  Result<ir::ValueId> EmitGiven(ir::ValueId x, const ir::GivenQuantization::Levels& levels);
  std::optional<ir::GivenQuantization::Levels> GivenOf(ir::ValueId value) const;
  // Levels of `x` that are no news to what makes it.
  void Give(ir::ValueId x, const ir::GivenQuantization::Levels& levels) {
    recorder_.given[x] = levels;
  }
  bool IsQuantized(size_t input) const {
    return input < inputs_.size() && inputs_[input].quantized;
  }
  // kUnsupported when an input are levels.
  Status RefuseLevels() const;
  // Remembers the scales of the weights of the node that was emitted last, if they have some.
  void KeepScales(const Tensor& weight);

  // Says what an output is.
  Status Return(ir::ValueId value, size_t output = 0);
  Status Return(TensorPtr constant, size_t output = 0);
  Status Return(Known known);
  // kUnsupported when something reads output `output`, for whose meaning there is no importer.
  Status RefuseOutput(size_t output, std::string_view what) const;
  const std::vector<Known>& results() const { return results_; }

 private:
  const ::onnx::AttributeProto* Find(std::string_view name) const;
  Status CheckLimits(const ir::Op& op, size_t inputs);

  Recorder& recorder_;
  const ::onnx::NodeProto& node_;
  int64_t opset_;
  std::vector<Known> inputs_;
  const Limits& limits_;
  std::vector<Known> results_;
};

}  // namespace haq::import::from_onnx
