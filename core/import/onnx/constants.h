// Arithmetic on constants and their shapes. Private to this folder.
#pragma once

#include <functional>

#include "core/import/onnx/tensor.h"

namespace haq::import::from_onnx {

// How far apart neighbours of each dimension lie in a row-major array.
std::vector<int64_t> StridesOf(const ir::Shape& shape);

// The elements of `from` at offset + sum(index[i] * strides[i]) for every index of `shape`, in
// row-major order. The caller knows that all of these exist.
TensorPtr Pick(const Tensor& from, const ir::Shape& shape, const std::vector<int64_t>& strides,
               int64_t offset = 0);

// NumPy's broadcasting, as ONNX uses it: kInvalidArgument for shapes that do not go together.
Result<ir::Shape> BroadcastShape(const ir::Shape& a, const ir::Shape& b);
// `tensor` repeated to `shape`, which BroadcastShape gave.
Result<TensorPtr> Expand(const TensorPtr& tensor, const ir::Shape& shape, const Limits& limits);

// f(a, b) with broadcasting; on integers when both are, as ONNX wants.
Result<TensorPtr> Combine(const TensorPtr& a, const TensorPtr& b,
                          const std::function<double(double, double)>& of_floats,
                          const std::function<int64_t(int64_t, int64_t)>& of_integers,
                          const Limits& limits);

// Cast to another type, as C++ converts; floats outside of an integer type become its nearest end.
TensorPtr CastTo(const TensorPtr& tensor, ElementType type);

// The least and the greatest value of an integer type.
struct IntegerRange {
  int64_t low, high;
};
IntegerRange RangeOf(ElementType type);

}  // namespace haq::import::from_onnx
