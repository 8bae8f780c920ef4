// Where the levels of a stored tensor come from: rounded by the layer that makes it, or taken over
// from other tensors. Private to core/pipeline.
#pragma once

#include <vector>

#include "core/lower/lower.h"

namespace haq::pipeline {

struct TensorOrigin {
  // False when every level is one that was stored before: the output of max pooling, a reshape, ...
  bool rounds = true;
  // Of a concatenation that brings some of its inputs to another scale: which of them. Empty: all
  // that is stored is rounded, or nothing.
  std::vector<int> rounded_inputs;
  // Tensors that hold the same levels, moved about, have the same number: the first decision among
  // them.
  int set = -1;
};

// By decision of `lowered`.
std::vector<TensorOrigin> FindOrigins(const lower::Lowered& lowered);

}  // namespace haq::pipeline
