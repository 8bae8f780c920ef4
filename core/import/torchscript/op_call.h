// One operator of the model on at least one activation: what its importer sees.
#pragma once

#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/import/torchscript/recorder.h"

namespace haq::import {

// All of `inputs` were taken before the operator ran, `outputs` after. Arguments are found by their
// name in the operator's schema.
class OpCall {
 public:
  OpCall(Recorder& recorder, const c10::FunctionSchema& schema, std::string name,
         std::vector<c10::IValue> inputs);

  const c10::FunctionSchema& schema() const { return schema_; }

  // None when the operator has no such argument.
  const c10::IValue& Arg(std::string_view name) const;
  bool Has(std::string_view name) const { return !Arg(name).isNone(); }
  int64_t Int(std::string_view name) const { return Arg(name).toInt(); }
  double Number(std::string_view name) const;
  bool Bool(std::string_view name, bool otherwise) const;
  // A list of one number stands for both dimensions.
  Result<std::array<int64_t, 2>> Pair(std::string_view name) const;
  // Same, for an argument that counts from the end of `rank` dimensions when negative.
  Result<int64_t> Axis(std::string_view name, int64_t rank) const;
  Result<std::vector<int64_t>> Axes(std::string_view name, int64_t rank) const;

  // The activation in an argument; kUnsupported when a constant stands there.
  Result<ir::ValueId> Activation(std::string_view name) const;
  // The constant in an argument as doubles; kUnsupported when an activation stands there.
  Result<at::Tensor> ConstantOf(std::string_view name) const;
  bool IsActivation(std::string_view name) const;
  ir::ValueId ValueOf(const c10::IValue& input) const;
  const ir::Shape& ShapeOfValue(ir::ValueId value) const;

  // Appends a node. The first one that has no `part` gets the call's name, others get their part
  // appended. kUnsupported when the operator cannot do this.
  Result<ir::ValueId> Emit(ir::Op op, const std::vector<ir::ValueId>& inputs,
                           const ir::Shape& declared = {}, std::string_view part = "");
  // Emits a Reshape unless the shape is that already.
  Result<ir::ValueId> EmitReshape(ir::ValueId value, const ir::Shape& shape,
                                  std::string_view part = "reshape");

  std::vector<c10::IValue> outputs;
  // Shape of output `i`; of an element of it when it is a list.
  ir::Shape OutputShape(size_t i = 0) const { return ShapeOf(outputs[i].toTensor()); }
  // Output `i` is `value`, whose shape has to be what the model computed.
  Status Return(ir::ValueId value, size_t i = 0);
  // The first output is `value` expanded: [N, C, 1, 1] stays small until it meets its partner.
  void ReturnBroadcast(ir::ValueId value) { results_.push_back({outputs[0], value}); }
  Status ReturnTensor(const at::Tensor& tensor, ir::ValueId value);

  struct Tracked {
    c10::IValue tensor;
    ir::ValueId value;
  };
  const std::vector<Tracked>& results() const { return results_; }
  bool unknown() const { return unknown_; }  // reads a kUnknownValue
  bool stale() const { return stale_; }      // reads memory that was written through an alias
  // Reads what ReturnBroadcast left small.
  bool broadcast() const { return broadcast_; }

 private:
  void Note(const c10::IValue& input);

  Recorder& recorder_;
  const c10::FunctionSchema& schema_;
  std::string name_;
  std::vector<c10::IValue> inputs_;
  // By identity, because operators in place change what the recorder says.
  std::map<const c10::TensorImpl*, ir::ValueId> values_;
  std::vector<Tracked> results_;
  bool unknown_ = false, stale_ = false, broadcast_ = false;
};

}  // namespace haq::import
