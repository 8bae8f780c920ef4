// Add, Sub, Mul, Div and what else is arithmetic of activations with each other and with constants.
#include <algorithm>
#include <cmath>

#include "core/import/onnx/constants.h"
#include "core/import/onnx/operators.h"

namespace haq::import::from_onnx {

namespace {

// Beyond it a constant of one value per element is more likely a mistake than a network.
constexpr int64_t kMaxAffineElements = int64_t{1} << 24;

TensorPtr Scalar(float value) { return MakeFloats({}, {value}); }

// A constant's value per element, `function` of it each.
template <typename Function>
Result<TensorPtr> Mapped(const NodeCall& call, size_t input, const Function& function) {
  HAQ_ASSIGN_OR_RETURN(const TensorPtr constant, call.ConstantOf(input));
  if (!constant->is_float()) return Unsupported("with a constant of {}", TypeName(constant->type));
  Tensor mapped = *constant;
  for (float& value : mapped.floats) value = static_cast<float>(function(double(value)));
  return std::make_shared<const Tensor>(std::move(mapped));
}

// What an operator does with one activation x and one constant c: scale * x + shift.
Status ReturnAffine(NodeCall& call, size_t activation, const Tensor& scale, const Tensor& shift) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(activation));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, EmitAffine(call, x, scale, shift));
  return call.Return(y);
}

bool BothActivations(const NodeCall& call) { return call.IsActivation(0) && call.IsActivation(1); }

template <typename Op>
Status EmitPair(NodeCall& call, ir::ValueId a, ir::ValueId b) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(Op{}, {a, b}));
  return call.Return(y);
}

const auto kSame = [](double value) { return value; };
const auto kNegated = [](double value) { return -value; };

Status ImportAdd(NodeCall& call) {
  if (BothActivations(call)) {
    return EmitPair<ir::Add>(call, *call.Activation(0), *call.Activation(1));
  }
  const size_t side = call.IsActivation(0) ? 0 : 1;
  HAQ_ASSIGN_OR_RETURN(const TensorPtr constant, Mapped(call, 1 - side, kSame));
  return ReturnAffine(call, side, *Scalar(1), *constant);
}

Status ImportSub(NodeCall& call) {
  if (BothActivations(call)) {
    HAQ_ASSIGN_OR_RETURN(const ir::ValueId negated,
                         EmitAffine(call, *call.Activation(1), *Scalar(-1), *Scalar(0), "negated"));
    return EmitPair<ir::Add>(call, *call.Activation(0), negated);
  }
  if (call.IsActivation(0)) {
    HAQ_ASSIGN_OR_RETURN(const TensorPtr constant, Mapped(call, 1, kNegated));
    return ReturnAffine(call, 0, *Scalar(1), *constant);
  }
  HAQ_ASSIGN_OR_RETURN(const TensorPtr constant, Mapped(call, 0, kSame));
  return ReturnAffine(call, 1, *Scalar(-1), *constant);
}

Status ImportMul(NodeCall& call) {
  if (BothActivations(call)) {
    return EmitPair<ir::Mul>(call, *call.Activation(0), *call.Activation(1));
  }
  const size_t side = call.IsActivation(0) ? 0 : 1;
  HAQ_ASSIGN_OR_RETURN(const TensorPtr constant, Mapped(call, 1 - side, kSame));
  return ReturnAffine(call, side, *constant, *Scalar(0));
}

Status ImportDiv(NodeCall& call) {
  if (call.IsActivation(1)) {
    return Unsupported("divides by an activation; it can divide by constants");
  }
  HAQ_ASSIGN_OR_RETURN(const TensorPtr constant, Mapped(call, 1, [](double c) { return 1 / c; }));
  return ReturnAffine(call, 0, *constant, *Scalar(0));
}

Status ImportNeg(NodeCall& call) { return ReturnAffine(call, 0, *Scalar(-1), *Scalar(0)); }

// Squares, and the power of one.
Status ImportPow(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  HAQ_ASSIGN_OR_RETURN(const double power, call.NumberOf(1));
  if (power == 1) return call.Return(x);
  if (power != 2) return Unsupported("raises to the power of {}; supported are 1 and 2", power);
  return EmitPair<ir::Mul>(call, x, x);
}

// All inputs added up.
Status ImportSum(NodeCall& call) {
  ir::ValueId sum = -1;
  for (size_t i = 0; i < call.InputCount(); ++i) {
    const std::string part = i + 1 == call.InputCount() ? "" : "part" + std::to_string(i);
    if (call.IsActivation(i)) {
      const ir::ValueId next = *call.Activation(i);
      if (sum < 0) {
        sum = next;
        continue;
      }
      HAQ_ASSIGN_OR_RETURN(sum, call.Emit(ir::Add{}, {sum, next}, {}, part));
    }
  }
  for (size_t i = 0; i < call.InputCount(); ++i) {
    if (call.IsActivation(i)) continue;
    HAQ_ASSIGN_OR_RETURN(const TensorPtr constant, Mapped(call, i, kSame));
    HAQ_ASSIGN_OR_RETURN(
        sum, EmitAffine(call, sum, *Scalar(1), *constant, "constant" + std::to_string(i)));
  }
  return call.Return(sum);
}

bool IsPerChannel(const Tensor& aligned) {
  return aligned.shape.size() >= 2 && aligned.count() == aligned.shape[1];
}

// `constant` with as many dimensions as `shape`, leading ones of 1 added or removed.
Result<TensorPtr> AlignRank(const Tensor& constant, const ir::Shape& shape) {
  Tensor aligned = constant;
  while (aligned.shape.size() > shape.size() && aligned.shape.front() == 1) {
    aligned.shape.erase(aligned.shape.begin());
  }
  while (aligned.shape.size() < shape.size()) aligned.shape.insert(aligned.shape.begin(), 1);
  bool fits = aligned.shape.size() == shape.size();
  for (size_t i = 0; fits && i < shape.size(); ++i) {
    fits = aligned.shape[i] == 1 || aligned.shape[i] == shape[i];
  }
  if (fits) return std::make_shared<const Tensor>(std::move(aligned));
  return Unsupported("combines {} with a constant of shape {}", ir::ShapeToString(shape),
                     ir::ShapeToString(constant.shape));
}

}  // namespace

Result<ir::ValueId> EmitAffine(NodeCall& call, ir::ValueId x, const Tensor& scale,
                               const Tensor& shift, std::string_view part) {
  const ir::Shape shape = call.ShapeOf(x);
  HAQ_ASSIGN_OR_RETURN(const TensorPtr scales, AlignRank(scale, shape));
  HAQ_ASSIGN_OR_RETURN(const TensorPtr shifts, AlignRank(shift, shape));
  const auto is_simple = [](const Tensor& t) { return t.count() == 1 || IsPerChannel(t); };
  if (shape.size() >= 2 && is_simple(*scales) && is_simple(*shifts)) {
    const auto spread = [&](const Tensor& t) {
      return t.count() == 1 ? std::vector<float>(shape[1], t.floats[0]) : t.floats;
    };
    return call.Emit(ir::ChannelAffine{spread(*scales), spread(*shifts)}, {x}, {}, part);
  }
  // One value per element: every element is a channel of a flat tensor.
  HAQ_ASSIGN_OR_RETURN(const int64_t count, ir::ElementCount(shape));
  if (count > kMaxAffineElements) {
    return Unsupported("has a constant for each of {} elements", count);
  }
  HAQ_ASSIGN_OR_RETURN(const TensorPtr all_scales, Expand(scales, shape, call.limits()));
  HAQ_ASSIGN_OR_RETURN(const TensorPtr all_shifts, Expand(shifts, shape, call.limits()));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId flat, call.EmitReshape(x, {1, count}, "flat"));
  HAQ_ASSIGN_OR_RETURN(
      const ir::ValueId y,
      call.Emit(ir::ChannelAffine{all_scales->floats, all_shifts->floats}, {flat}, {}, part));
  return call.EmitReshape(y, shape);
}

ImporterTable ArithmeticImporters() {
  return {{"Add", ImportAdd}, {"Sub", ImportSub}, {"Mul", ImportMul}, {"Div", ImportDiv},
          {"Neg", ImportNeg}, {"Pow", ImportPow}, {"Sum", ImportSum}};
}

}  // namespace haq::import::from_onnx
