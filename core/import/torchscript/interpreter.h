// Runs a TorchScript module on a sample and records what happens to it.
//
// Control flow, shapes, lists, attributes and constants are computed for real; an operator that
// touches an activation is handed to its importer. So a branch that depends on a shape or a
// flag leaves no trace in the graph, and one that depends on the data is an error.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <unordered_map>
#include <vector>

#include "core/import/torchscript/op_call.h"

namespace haq::import {

// An operator that cannot be imported.
struct Problem {
  std::string operator_name;  // "aten::erf"
  std::string place;          // "features.3 (model.py:12)"
  std::string reason;         // empty: no importer
  bool in_the_model = false;  // the operator is known, its weights are wrong
};

class Interpreter {
 public:
  Interpreter(Recorder& recorder, const torch::jit::Module& root);

  // Runs `root`'s forward on those arguments. kInvalidArgument: the model itself fails.
  Result<c10::IValue> Run(std::vector<c10::IValue> arguments);

  const std::vector<Problem>& problems() const { return problems_; }

 private:
  using Values = std::unordered_map<const torch::jit::Value*, c10::IValue>;
  struct Frame {
    Values values;
    std::string scope;  // path of the module whose method runs
    bool is_leaf;       // it has no modules inside
  };

  Result<std::vector<c10::IValue>> RunGraph(const torch::jit::Graph& graph, Frame frame);
  Status RunBlock(const torch::jit::Block& block, Frame& frame);
  Status RunNode(const torch::jit::Node& node, Frame& frame);
  Status RunIf(const torch::jit::Node& node, Frame& frame);
  Status RunLoop(const torch::jit::Node& node, Frame& frame);
  Status RunGetAttr(const torch::jit::Node& node, Frame& frame);
  Status RunCallMethod(const torch::jit::Node& node, Frame& frame);
  Status RunCallFunction(const torch::jit::Node& node, Frame& frame);
  // prim nodes that LibTorch has no operator for; false when it is none of them.
  Result<bool> RunStructural(const torch::jit::Node& node, Frame& frame);
  Status RunOperator(const torch::jit::Node& node, Frame& frame);

  // Executes the operator on the sample.
  Result<std::vector<c10::IValue>> Execute(const torch::jit::Node& node, const Frame& frame,
                                           const std::vector<c10::IValue>& inputs);
  void Import(const torch::jit::Node& node, const Frame& frame, OpCall& call);
  void TrackUnknown(const c10::IValue& value, bool in_place);
  void Report(const torch::jit::Node& node, const Frame& frame, std::string reason,
              bool in_the_model = false);

  std::vector<c10::IValue> InputsOf(const torch::jit::Node& node, const Frame& frame) const;
  std::string PlaceOf(const torch::jit::Node& node, const Frame& frame) const;
  std::string NameOf(const torch::jit::Node& node, const Frame& frame) const;

  Recorder& recorder_;
  torch::jit::Module root_;
  // Where modules were found; one that is used in two places keeps the first.
  std::unordered_map<const c10::ivalue::Object*, std::string> paths_;
  std::vector<Problem> problems_;
  int64_t steps_ = 0;
  int depth_ = 0;
};

}  // namespace haq::import
