// Constants that are shapes, or parts and rearrangements of constants.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/import/onnx/constants.h"
#include "core/import/onnx/fold.h"
#include "core/import/onnx/shapes.h"

namespace haq::import::from_onnx {

namespace {

Result<ir::Shape> ShapeOfInput(const NodeCall& call) {
  if (call.IsConstant(0)) return (*call.ConstantOf(0))->shape;
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  return call.ShapeOf(x);
}

Status FoldShape(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::Shape shape, ShapeOfInput(call));
  const auto rank = static_cast<int64_t>(shape.size());
  HAQ_ASSIGN_OR_RETURN(int64_t start, call.Int("start", 0));
  HAQ_ASSIGN_OR_RETURN(int64_t end, call.Int("end", rank));
  const auto within = [&](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? std::max(at, -rank) + rank : at, 0, rank);
  };
  start = within(start);
  end = std::max(within(end), start);
  std::vector<int64_t> part(shape.begin() + start, shape.begin() + end);
  const auto count = static_cast<int64_t>(part.size());
  return call.Return(MakeIntegers({count}, std::move(part)));
}

Status FoldSize(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::Shape shape, ShapeOfInput(call));
  HAQ_ASSIGN_OR_RETURN(const int64_t count, CountOf(shape, int64_t{1} << 40));
  return call.Return(MakeIntegers({}, {count}));
}

Status FoldConstant(NodeCall& call) {
  if (call.HasAttribute("value")) {
    HAQ_ASSIGN_OR_RETURN(TensorPtr value, call.TensorOf("value"));
    return call.Return(std::move(value));
  }
  if (call.HasAttribute("value_float")) {
    HAQ_ASSIGN_OR_RETURN(const float value, call.Float("value_float", 0));
    return call.Return(MakeFloats({}, {value}));
  }
  if (call.HasAttribute("value_int")) {
    HAQ_ASSIGN_OR_RETURN(const int64_t value, call.Int("value_int", 0));
    return call.Return(MakeIntegers({}, {value}));
  }
  if (call.HasAttribute("value_ints")) {
    HAQ_ASSIGN_OR_RETURN(std::vector<int64_t> values, call.Ints("value_ints", {}));
    const auto count = static_cast<int64_t>(values.size());
    return call.Return(MakeIntegers({count}, std::move(values)));
  }
  if (call.HasAttribute("value_floats")) {
    HAQ_ASSIGN_OR_RETURN(std::vector<float> values, call.Floats("value_floats", {}));
    const auto count = static_cast<int64_t>(values.size());
    return call.Return(MakeFloats({count}, std::move(values)));
  }
  return Unsupported("has none of value, value_float, value_floats, value_int and value_ints");
}

Status FoldConstantOfShape(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::Shape shape, call.IntegersOf(0));
  HAQ_ASSIGN_OR_RETURN(const int64_t count, CountOf(shape, call.limits().folded_elements));
  TensorPtr value = MakeFloats({1}, {0});
  if (call.HasAttribute("value")) {
    HAQ_ASSIGN_OR_RETURN(value, call.TensorOf("value"));
  }
  if (value->count() != 1) return InvalidArgument("value has {} elements, not 1", value->count());
  Tensor filled{value->type, shape, {}, {}};
  if (value->is_float()) {
    filled.floats.assign(count, value->floats[0]);
  } else {
    filled.integers.assign(count, value->integers[0]);
  }
  return call.Return(std::make_shared<const Tensor>(std::move(filled)));
}

TensorPtr WithShape(const TensorPtr& tensor, const ir::Shape& shape) {
  Tensor reshaped = *tensor;
  reshaped.shape = shape;
  return std::make_shared<const Tensor>(std::move(reshaped));
}

// Operators that keep the elements and their order: NewShape says what becomes of the shape.
Status FoldReshape(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const TensorPtr x, call.ConstantOf(0));
  HAQ_ASSIGN_OR_RETURN(const ir::Shape shape, NewShape(call, x->shape));
  return call.Return(WithShape(x, shape));
}

Status FoldIdentity(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(TensorPtr x, call.ConstantOf(0));
  return call.Return(std::move(x));
}

Status FoldTranspose(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const TensorPtr x, call.ConstantOf(0));
  const auto rank = static_cast<int64_t>(x->shape.size());
  HAQ_ASSIGN_OR_RETURN(const std::vector<int64_t> order, Permutation(call, rank));
  const std::vector<int64_t> own = StridesOf(x->shape);
  ir::Shape shape;
  std::vector<int64_t> strides;
  for (const int64_t dimension : order) {
    shape.push_back(x->shape[dimension]);
    strides.push_back(own[dimension]);
  }
  return call.Return(Pick(*x, shape, strides));
}

Status FoldGather(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const TensorPtr x, call.ConstantOf(0));
  HAQ_ASSIGN_OR_RETURN(const TensorPtr indices, call.ConstantOf(1));
  const auto rank = static_cast<int64_t>(x->shape.size());
  HAQ_ASSIGN_OR_RETURN(int64_t axis, call.Int("axis", 0));
  HAQ_ASSIGN_OR_RETURN(axis, NodeCall::Axis(axis, rank));
  if (indices->is_float()) return InvalidArgument("has indices of {}", TypeName(indices->type));
  ir::Shape shape(x->shape.begin(), x->shape.begin() + axis);
  shape.insert(shape.end(), indices->shape.begin(), indices->shape.end());
  shape.insert(shape.end(), x->shape.begin() + axis + 1, x->shape.end());
  HAQ_ASSIGN_OR_RETURN(const int64_t count, CountOf(shape, call.limits().folded_elements));
  const int64_t size = x->shape[axis];
  int64_t inner = 1, outer = 1;
  for (int64_t d = 0; d < axis; ++d) outer *= x->shape[d];
  for (int64_t d = axis + 1; d < rank; ++d) inner *= x->shape[d];
  Tensor result{x->type, shape, {}, {}};
  for (int64_t o = 0; o < outer && count > 0; ++o) {
    for (int64_t index : indices->integers) {
      if (index < -size || index >= size) return InvalidArgument("index {} of {}", index, size);
      if (index < 0) index += size;
      const int64_t first = (o * size + index) * inner;
      const auto copy = [&](const auto& from, auto& to) {
        to.insert(to.end(), from.begin() + first, from.begin() + first + inner);
      };
      x->is_float() ? copy(x->floats, result.floats) : copy(x->integers, result.integers);
    }
  }
  return call.Return(std::make_shared<const Tensor>(std::move(result)));
}

Status FoldConcat(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const TensorPtr first, call.ConstantOf(0));
  const auto rank = static_cast<int64_t>(first->shape.size());
  HAQ_ASSIGN_OR_RETURN(int64_t axis, call.Int("axis", 0));
  HAQ_ASSIGN_OR_RETURN(axis, NodeCall::Axis(axis, rank));
  std::vector<TensorPtr> parts;
  ir::Shape shape = first->shape;
  shape[axis] = 0;
  for (size_t i = 0; i < call.InputCount(); ++i) {
    HAQ_ASSIGN_OR_RETURN(const TensorPtr part, call.ConstantOf(i));
    ir::Shape rest = part->shape;
    if (rest.size() != shape.size() || part->type != first->type) {
      return InvalidArgument("input {} does not fit input 0", i);
    }
    rest[axis] = shape[axis];
    if (rest != shape) return InvalidArgument("input {} does not fit input 0", i);
    shape[axis] += part->shape[axis];
    parts.push_back(part);
  }
  HAQ_RETURN_IF_ERROR(CountOf(shape, call.limits().folded_elements).status());
  int64_t outer = 1;
  for (int64_t d = 0; d < axis; ++d) outer *= shape[d];
  Tensor result{first->type, shape, {}, {}};
  for (int64_t o = 0; o < outer; ++o) {
    for (const TensorPtr& part : parts) {
      const int64_t row = part->count() / outer;
      const auto copy = [&](const auto& from, auto& to) {
        to.insert(to.end(), from.begin() + o * row, from.begin() + (o + 1) * row);
      };
      part->is_float() ? copy(part->floats, result.floats) : copy(part->integers, result.integers);
    }
  }
  return call.Return(std::make_shared<const Tensor>(std::move(result)));
}

Status FoldSlice(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const TensorPtr x, call.ConstantOf(0));
  HAQ_ASSIGN_OR_RETURN(const std::vector<Cut> cuts, CutsOf(call, x->shape));
  ir::Shape shape = x->shape;
  std::vector<int64_t> strides = StridesOf(x->shape);
  int64_t offset = 0;
  for (const Cut& cut : cuts) {
    offset += cut.start * strides[cut.axis];
    shape[cut.axis] = cut.count;
  }
  for (const Cut& cut : cuts) strides[cut.axis] *= cut.step;
  return call.Return(Pick(*x, shape, strides, offset));
}

Status FoldExpand(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const TensorPtr x, call.ConstantOf(0));
  HAQ_ASSIGN_OR_RETURN(const ir::Shape wanted, call.IntegersOf(1));
  HAQ_RETURN_IF_ERROR(CountOf(wanted, call.limits().folded_elements).status());
  HAQ_ASSIGN_OR_RETURN(const ir::Shape shape, BroadcastShape(x->shape, wanted));
  HAQ_ASSIGN_OR_RETURN(TensorPtr expanded, Expand(x, shape, call.limits()));
  return call.Return(std::move(expanded));
}

Status FoldRange(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const double start, call.NumberOf(0));
  HAQ_ASSIGN_OR_RETURN(const double limit, call.NumberOf(1));
  HAQ_ASSIGN_OR_RETURN(const double delta, call.NumberOf(2));
  const double count = std::max(0.0, std::ceil((limit - start) / delta));
  if (!(count <= double(call.limits().folded_elements))) {
    return ResourceExhausted("makes {} elements, allowed are {}", count,
                             call.limits().folded_elements);
  }
  Tensor range{(*call.ConstantOf(0))->type, {static_cast<int64_t>(count)}, {}, {}};
  for (int64_t i = 0; i < range.shape[0]; ++i) {
    const double value = start + double(i) * delta;
    if (range.is_float()) {
      range.floats.push_back(static_cast<float>(value));
    } else {
      range.integers.push_back(static_cast<int64_t>(value));
    }
  }
  return call.Return(std::make_shared<const Tensor>(std::move(range)));
}

// All elements; what is made of shapes needs no more.
Status FoldReduceProd(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const TensorPtr x, call.ConstantOf(0));
  HAQ_ASSIGN_OR_RETURN(const int64_t keep, call.Int("keepdims", 1));
  if (x->is_float() || x->shape.size() != 1) return Unsupported("on other than a list of integers");
  uint64_t product = 1;
  for (const int64_t value : x->integers) product *= static_cast<uint64_t>(value);
  return call.Return(MakeIntegers(keep != 0 ? ir::Shape{1} : ir::Shape{},
                                  {static_cast<int64_t>(product)}, x->type));
}

}  // namespace

FolderTable ShapeFolders() {
  return {{"Shape", FoldShape},       {"Size", FoldSize},
          {"Constant", FoldConstant}, {"ConstantOfShape", FoldConstantOfShape},
          {"Reshape", FoldReshape},   {"Flatten", FoldReshape},
          {"Squeeze", FoldReshape},   {"Unsqueeze", FoldReshape},
          {"Identity", FoldIdentity}, {"Transpose", FoldTranspose},
          {"Gather", FoldGather},     {"Concat", FoldConcat},
          {"Slice", FoldSlice},       {"Expand", FoldExpand},
          {"Range", FoldRange},       {"ReduceProd", FoldReduceProd}};
}

}  // namespace haq::import::from_onnx
