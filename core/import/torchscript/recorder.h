// Which of the tensors that exist while a model is being interpreted are values of the graph.
//
// The model is executed on a sample, so every activation has a "shadow", a real tensor of the right
// shape. A tensor is known by its identity: lists, tuples and dictionaries can carry it around
// freely. Everything that is not tracked is a constant.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "core/ir/graph.h"

namespace haq::import {

// The value of a tensor that came out of an operator that could not be imported: work goes on, so
// that every such operator is found.
inline constexpr ir::ValueId kUnknownValue = -2;

ir::Shape ShapeOf(const at::Tensor& tensor);

class Recorder {
 public:
  ir::Graph graph;

  // `shadow` is `value` from now on, also if it was something else before (an operator in place).
  // Other tensors that look at the same memory become stale when `in_place`.
  void Track(const at::Tensor& shadow, ir::ValueId value, bool in_place);

  struct Tracked {
    at::Tensor shadow;  // keeps the identity from being reused
    ir::ValueId value;
    bool stale = false;  // its memory was written through another tensor
  };
  // Null when it is a constant.
  const Tracked* Find(const at::Tensor& tensor) const;
  // True when `value` is a tracked tensor, or a container that has one in it at any depth.
  bool Contains(const c10::IValue& value) const;

  // `wanted`, or with a number appended when that name is taken.
  std::string UniqueName(const std::string& wanted);

  // Forgets tensors that nothing but the recorder holds.
  void Sweep();

 private:
  std::unordered_map<const c10::TensorImpl*, Tracked> tracked_;
  std::unordered_set<std::string> names_;
};

}  // namespace haq::import
