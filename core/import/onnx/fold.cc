// Constants computed element by element.
#include "core/import/onnx/fold.h"

#include <algorithm>
#include <cmath>

#include "core/import/onnx/constants.h"

namespace haq::import::from_onnx {

namespace {

// Two's complement without undefined overflow.
int64_t Wrap(uint64_t value) { return static_cast<int64_t>(value); }

template <typename OfFloats, typename OfIntegers>
Status FoldPair(NodeCall& call, const OfFloats& of_floats, const OfIntegers& of_integers) {
  HAQ_ASSIGN_OR_RETURN(const TensorPtr a, call.ConstantOf(0));
  HAQ_ASSIGN_OR_RETURN(const TensorPtr b, call.ConstantOf(1));
  HAQ_ASSIGN_OR_RETURN(TensorPtr result, Combine(a, b, of_floats, of_integers, call.limits()));
  return call.Return(std::move(result));
}

Status FoldAdd(NodeCall& call) {
  return FoldPair(
      call, [](double a, double b) { return a + b; },
      [](int64_t a, int64_t b) { return Wrap(uint64_t(a) + uint64_t(b)); });
}
Status FoldSub(NodeCall& call) {
  return FoldPair(
      call, [](double a, double b) { return a - b; },
      [](int64_t a, int64_t b) { return Wrap(uint64_t(a) - uint64_t(b)); });
}
Status FoldMul(NodeCall& call) {
  return FoldPair(
      call, [](double a, double b) { return a * b; },
      [](int64_t a, int64_t b) { return Wrap(uint64_t(a) * uint64_t(b)); });
}
Status FoldDiv(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const TensorPtr divisor, call.ConstantOf(1));
  const auto& integers = divisor->integers;
  if (std::count(integers.begin(), integers.end(), 0) != 0) {
    return InvalidArgument("divides by zero");
  }
  return FoldPair(
      call, [](double a, double b) { return a / b; },
      [](int64_t a, int64_t b) { return b == -1 ? Wrap(0 - uint64_t(a)) : a / b; });
}
Status FoldPow(NodeCall& call) {
  return FoldPair(
      call, [](double a, double b) { return std::pow(a, b); },
      [](int64_t a, int64_t b) {
        const double power = std::pow(double(a), double(b));
        return std::abs(power) < 9e18 ? static_cast<int64_t>(power) : 0;
      });
}
// Max, Min and Sum take any number of inputs.
template <typename Function>
Status FoldAll(NodeCall& call, const Function& function) {
  HAQ_ASSIGN_OR_RETURN(TensorPtr result, call.ConstantOf(0));
  for (size_t i = 1; i < call.InputCount(); ++i) {
    HAQ_ASSIGN_OR_RETURN(const TensorPtr next, call.ConstantOf(i));
    HAQ_ASSIGN_OR_RETURN(result, Combine(result, next, function, function, call.limits()));
  }
  return call.Return(std::move(result));
}
Status FoldMin(NodeCall& call) {
  return FoldAll(call, [](auto a, auto b) { return std::min(a, b); });
}
Status FoldMax(NodeCall& call) {
  return FoldAll(call, [](auto a, auto b) { return std::max(a, b); });
}
Status FoldSum(NodeCall& call) {
  return FoldAll(call, [](auto a, auto b) { return a + b; });
}

template <typename Compare>
Status FoldComparison(NodeCall& call, const Compare& compare) {
  HAQ_ASSIGN_OR_RETURN(const TensorPtr a, call.ConstantOf(0));
  HAQ_ASSIGN_OR_RETURN(const TensorPtr b, call.ConstantOf(1));
  HAQ_ASSIGN_OR_RETURN(TensorPtr result, Combine(a, b, compare, compare, call.limits()));
  return call.Return(CastTo(result, ElementType::kBool));
}
Status FoldEqual(NodeCall& call) {
  return FoldComparison(call, [](auto a, auto b) { return a == b; });
}
Status FoldGreater(NodeCall& call) {
  return FoldComparison(call, [](auto a, auto b) { return a > b; });
}
Status FoldLess(NodeCall& call) {
  return FoldComparison(call, [](auto a, auto b) { return a < b; });
}

template <typename Function>
Status FoldFloats(NodeCall& call, const Function& function) {
  HAQ_ASSIGN_OR_RETURN(const TensorPtr x, call.ConstantOf(0));
  if (!x->is_float()) return Unsupported("on constants of {}", TypeName(x->type));
  std::vector<float> values;
  for (const float value : x->floats) values.push_back(static_cast<float>(function(value)));
  return call.Return(MakeFloats(x->shape, std::move(values)));
}
Status FoldFloor(NodeCall& call) {
  return FoldFloats(call, [](double x) { return std::floor(x); });
}
Status FoldCeil(NodeCall& call) {
  return FoldFloats(call, [](double x) { return std::ceil(x); });
}
Status FoldRound(NodeCall& call) {
  return FoldFloats(call, [](double x) { return std::nearbyint(x); });
}
Status FoldSqrt(NodeCall& call) {
  return FoldFloats(call, [](double x) { return std::sqrt(x); });
}
Status FoldReciprocal(NodeCall& call) {
  return FoldFloats(call, [](double x) { return 1 / x; });
}
Status FoldExp(NodeCall& call) {
  return FoldFloats(call, [](double x) { return std::exp(x); });
}

Status FoldNeg(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const TensorPtr x, call.ConstantOf(0));
  Tensor result = *x;
  for (float& value : result.floats) value = -value;
  for (int64_t& value : result.integers) value = Wrap(0 - uint64_t(value));
  return call.Return(std::make_shared<const Tensor>(std::move(result)));
}

Status FoldNot(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const TensorPtr x, call.ConstantOf(0));
  Tensor result = *x;
  for (int64_t& value : result.integers) value = value == 0;
  return call.Return(std::make_shared<const Tensor>(std::move(result)));
}

Status FoldWhere(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(TensorPtr condition, call.ConstantOf(0));
  HAQ_ASSIGN_OR_RETURN(TensorPtr yes, call.ConstantOf(1));
  HAQ_ASSIGN_OR_RETURN(TensorPtr no, call.ConstantOf(2));
  if (yes->type != no->type || condition->is_float()) {
    return InvalidArgument("chooses between {} and {} by {}", TypeName(yes->type),
                           TypeName(no->type), TypeName(condition->type));
  }
  HAQ_ASSIGN_OR_RETURN(ir::Shape shape, BroadcastShape(yes->shape, no->shape));
  HAQ_ASSIGN_OR_RETURN(shape, BroadcastShape(shape, condition->shape));
  HAQ_ASSIGN_OR_RETURN(condition, Expand(condition, shape, call.limits()));
  HAQ_ASSIGN_OR_RETURN(yes, Expand(yes, shape, call.limits()));
  HAQ_ASSIGN_OR_RETURN(no, Expand(no, shape, call.limits()));
  Tensor result = *no;
  for (size_t i = 0; i < condition->integers.size(); ++i) {
    if (condition->integers[i] == 0) continue;
    if (result.is_float()) {
      result.floats[i] = yes->floats[i];
    } else {
      result.integers[i] = yes->integers[i];
    }
  }
  return call.Return(std::make_shared<const Tensor>(std::move(result)));
}

Status FoldCast(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const TensorPtr x, call.ConstantOf(0));
  HAQ_ASSIGN_OR_RETURN(const int64_t to, call.Int("to", 0));
  const auto type = static_cast<ElementType>(to);
  if (to < 0 || to > 11 || TypeName(type) == "unknown") return Unsupported("to type {}", to);
  return call.Return(CastTo(x, type));
}

}  // namespace

FolderTable ArithmeticFolders() {
  return {{"Add", FoldAdd},
          {"Sub", FoldSub},
          {"Mul", FoldMul},
          {"Div", FoldDiv},
          {"Pow", FoldPow},
          {"Min", FoldMin},
          {"Max", FoldMax},
          {"Sum", FoldSum},
          {"Equal", FoldEqual},
          {"Greater", FoldGreater},
          {"Less", FoldLess},
          {"Floor", FoldFloor},
          {"Ceil", FoldCeil},
          {"Round", FoldRound},
          {"Sqrt", FoldSqrt},
          {"Exp", FoldExp},
          {"Reciprocal", FoldReciprocal},
          {"Neg", FoldNeg},
          {"Not", FoldNot},
          {"Where", FoldWhere},
          {"Cast", FoldCast}};
}

const FolderTable& Folders() {
  static const FolderTable kFolders = [] {
    FolderTable all = ArithmeticFolders();
    all.merge(ShapeFolders());
    all.merge(QuantizedFolders());
    return all;
  }();
  return kFolders;
}

}  // namespace haq::import::from_onnx
