#include "core/import/onnx/constants.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace haq::import::from_onnx {

namespace {

template <typename Element>
std::vector<Element> PickElements(const std::vector<Element>& from, const ir::Shape& shape,
                                  const std::vector<int64_t>& strides, int64_t offset,
                                  int64_t count) {
  std::vector<Element> picked(static_cast<size_t>(count));
  std::vector<int64_t> index(shape.size(), 0);
  int64_t at = offset;
  for (int64_t i = 0; i < count; ++i) {
    picked[i] = from[at];
    for (size_t d = shape.size(); d-- > 0;) {
      at += strides[d];
      if (++index[d] < shape[d]) break;
      at -= strides[d] * shape[d];
      index[d] = 0;
    }
  }
  return picked;
}

}  // namespace

std::vector<int64_t> StridesOf(const ir::Shape& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;)
    strides[d - 1] = strides[d] * std::max<int64_t>(shape[d], 1);
  return strides;
}

TensorPtr Pick(const Tensor& from, const ir::Shape& shape, const std::vector<int64_t>& strides,
               int64_t offset) {
  int64_t count = 1;
  for (const int64_t dimension : shape) count *= dimension;
  Tensor picked{from.type, shape, {}, {}, from.scales};
  if (from.is_float()) {
    picked.floats = PickElements(from.floats, shape, strides, offset, count);
  } else {
    picked.integers = PickElements(from.integers, shape, strides, offset, count);
  }
  return std::make_shared<const Tensor>(std::move(picked));
}

Result<ir::Shape> BroadcastShape(const ir::Shape& a, const ir::Shape& b) {
  ir::Shape shape(std::max(a.size(), b.size()), 1);
  for (size_t i = 0; i < shape.size(); ++i) {
    const int64_t left = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t right = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (left != right && left != 1 && right != 1) {
      return InvalidArgument("shapes [{}] and [{}] do not go together", ir::ShapeToString(a),
                             ir::ShapeToString(b));
    }
    shape[shape.size() - 1 - i] = left == 1 ? right : left;
  }
  return shape;
}

Result<TensorPtr> Expand(const TensorPtr& tensor, const ir::Shape& shape, const Limits& limits) {
  if (tensor->shape == shape) return tensor;
  HAQ_RETURN_IF_ERROR(CountOf(shape, limits.folded_elements).status());
  const std::vector<int64_t> own = StridesOf(tensor->shape);
  std::vector<int64_t> strides(shape.size(), 0);
  const size_t added = shape.size() - tensor->shape.size();
  for (size_t d = 0; d < tensor->shape.size(); ++d) {
    if (tensor->shape[d] != 1) strides[added + d] = own[d];
  }
  return Pick(*tensor, shape, strides);
}

Result<TensorPtr> Combine(const TensorPtr& a, const TensorPtr& b,
                          const std::function<double(double, double)>& of_floats,
                          const std::function<int64_t(int64_t, int64_t)>& of_integers,
                          const Limits& limits) {
  if (a->is_float() != b->is_float()) {
    return InvalidArgument("combines {} with {}", TypeName(a->type), TypeName(b->type));
  }
  HAQ_ASSIGN_OR_RETURN(const ir::Shape shape, BroadcastShape(a->shape, b->shape));
  HAQ_ASSIGN_OR_RETURN(const TensorPtr left, Expand(a, shape, limits));
  HAQ_ASSIGN_OR_RETURN(const TensorPtr right, Expand(b, shape, limits));
  Tensor result{a->type, shape, {}, {}};
  if (a->is_float()) {
    for (int64_t i = 0; i < left->count(); ++i) {
      result.floats.push_back(static_cast<float>(of_floats(left->floats[i], right->floats[i])));
    }
  } else {
    for (int64_t i = 0; i < left->count(); ++i) {
      result.integers.push_back(of_integers(left->integers[i], right->integers[i]));
    }
  }
  return std::make_shared<const Tensor>(std::move(result));
}

IntegerRange RangeOf(ElementType type) {
  switch (type) {
    case ElementType::kUint8:
      return {0, 255};
    case ElementType::kInt8:
      return {-128, 127};
    case ElementType::kUint16:
      return {0, 65535};
    case ElementType::kInt16:
      return {-32768, 32767};
    case ElementType::kInt32:
      return {std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()};
    case ElementType::kBool:
      return {0, 1};
    default:
      return {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()};
  }
}

TensorPtr CastTo(const TensorPtr& tensor, ElementType type) {
  Tensor result{type, tensor->shape, {}, {}};
  const auto [low, high] = RangeOf(type);
  for (int64_t i = 0; i < tensor->count(); ++i) {
    if (IsFloat(type)) {
      result.floats.push_back(static_cast<float>(tensor->At(i)));
    } else if (type == ElementType::kBool) {
      result.integers.push_back(tensor->At(i) != 0);
    } else if (tensor->is_float()) {
      const double value = std::isnan(tensor->floats[i]) ? 0 : std::trunc(tensor->floats[i]);
      result.integers.push_back(value <= double(low)    ? low
                                : value >= double(high) ? high
                                                        : static_cast<int64_t>(value));
    } else {
      result.integers.push_back(std::clamp(tensor->integers[i], low, high));
    }
  }
  return std::make_shared<const Tensor>(std::move(result));
}

}  // namespace haq::import::from_onnx
