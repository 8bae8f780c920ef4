// What shapes become, of constants and of activations alike. Private to this folder.
#pragma once

#include "core/import/onnx/node_call.h"

namespace haq::import::from_onnx {

// The shape that Reshape, Flatten, Squeeze and Unsqueeze (call.kind()) give an input of `shape`.
// Squeeze without axes gives up every dimension of 1.
Result<ir::Shape> NewShape(const NodeCall& call, const ir::Shape& shape);

// Transpose's order of `rank` dimensions.
Result<std::vector<int64_t>> Permutation(const NodeCall& call, int64_t rank);

// Elements start, start + step, ... of `axis`, `count` of them (0 is possible).
struct Cut {
  int64_t axis, start, step, count;
  bool all = false;  // whatever the size of the axis, by the way it was written
};
// What a Slice takes of `shape`; axes are named once.
Result<std::vector<Cut>> CutsOf(const NodeCall& call, const ir::Shape& shape);

}  // namespace haq::import::from_onnx
