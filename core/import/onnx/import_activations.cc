// Elementwise functions of one activation, and softmax.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/import/onnx/operators.h"

namespace haq::import::from_onnx {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Status EmitElementwise(NodeCall& call, ir::Op op) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(std::move(op), {x}));
  return call.Return(y);
}

template <typename Op>
Status ImportSimple(NodeCall& call) {
  return EmitElementwise(call, Op{});
}

Status EmitClamp(NodeCall& call, double low, double high) {
  // ONNX's Clip with the ends crossed gives the upper one.
  return EmitElementwise(
      call, ir::Clamp{static_cast<float>(std::min(low, high)), static_cast<float>(high)});
}

Status ImportRelu(NodeCall& call) { return EmitClamp(call, 0, kInfinity); }

// The ends are attributes before opset 11, inputs since. The largest floats stand for none.
Status ImportClip(NodeCall& call) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  double low = -kInfinity, high = kInfinity;
  if (call.opset() < 11) {
    HAQ_ASSIGN_OR_RETURN(low, call.Float("min", -kInfinity));
    HAQ_ASSIGN_OR_RETURN(high, call.Float("max", kInfinity));
  } else {
    if (call.Has(1)) {
      HAQ_ASSIGN_OR_RETURN(low, call.NumberOf(1));
    }
    if (call.Has(2)) {
      HAQ_ASSIGN_OR_RETURN(high, call.NumberOf(2));
    }
  }
  if (low == -kLargest) low = -kInfinity;
  if (high == kLargest) high = kInfinity;
  return EmitClamp(call, low, high);
}

// The larger, or the smaller, of an activation and numbers.
Status ImportLimit(NodeCall& call, bool is_max) {
  ir::ValueId x = -1;
  double limit = is_max ? -kInfinity : kInfinity;
  for (size_t i = 0; i < call.InputCount(); ++i) {
    if (call.IsActivation(i)) {
      if (x >= 0) return Unsupported("compares activations; supported are one and numbers");
      HAQ_ASSIGN_OR_RETURN(x, call.Activation(i));
      continue;
    }
    HAQ_ASSIGN_OR_RETURN(const double number, call.NumberOf(i));
    limit = is_max ? std::max(limit, number) : std::min(limit, number);
  }
  const auto value = static_cast<float>(limit);
  HAQ_ASSIGN_OR_RETURN(
      const ir::ValueId y,
      call.Emit(is_max ? ir::Clamp{value, kInfinity, {}} : ir::Clamp{-kInfinity, value, {}}, {x}));
  return call.Return(y);
}
Status ImportMax(NodeCall& call) { return ImportLimit(call, true); }
Status ImportMin(NodeCall& call) { return ImportLimit(call, false); }

Status ImportLeakyRelu(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const float slope, call.Float("alpha", 0.01f));
  return EmitElementwise(call, ir::LeakyRelu{slope});
}

// One slope is a leaky ReLU; otherwise max(x, 0) + slope * min(x, 0).
Status ImportPrelu(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  HAQ_ASSIGN_OR_RETURN(const TensorPtr slope, call.ConstantOf(1));
  if (!slope->is_float()) return Unsupported("has slopes of {}", TypeName(slope->type));
  if (slope->count() == 1) return EmitElementwise(call, ir::LeakyRelu{slope->floats[0]});
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId above,
                       call.Emit(ir::Clamp{.low = 0}, {x}, {}, "positive"));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId below,
                       call.Emit(ir::Clamp{.high = 0}, {x}, {}, "negative"));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId scaled,
                       EmitAffine(call, below, *slope, *MakeFloats({}, {0}), "slope"));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(ir::Add{}, {above, scaled}));
  return call.Return(y);
}

// min(max(alpha * x + beta, 0), 1); the graph's own operator where it is that one.
Status ImportHardSigmoid(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  HAQ_ASSIGN_OR_RETURN(const float alpha, call.Float("alpha", 0.2f));
  HAQ_ASSIGN_OR_RETURN(const float beta, call.Float("beta", 0.5f));
  if (std::abs(alpha - 1.0f / 6) < 1e-6f && beta == 0.5f) {
    return EmitElementwise(call, ir::HardSigmoid{});
  }
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId line, EmitAffine(call, x, *MakeFloats({}, {alpha}),
                                                          *MakeFloats({}, {beta}), "line"));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(ir::Clamp{0, 1, {}}, {line}));
  return call.Return(y);
}

// Before opset 13 everything from the axis on is one dimension.
Status ImportSoftmax(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  const ir::Shape shape = call.ShapeOf(x);
  const auto rank = static_cast<int64_t>(shape.size());
  const bool whole = call.opset() < 13;
  HAQ_ASSIGN_OR_RETURN(int64_t axis, call.Int("axis", whole ? 1 : -1));
  HAQ_ASSIGN_OR_RETURN(axis, NodeCall::Axis(axis, rank));
  if (axis == 0) return Unsupported("works over the batch");
  const auto product = [&](int64_t begin, int64_t end) {
    return std::accumulate(shape.begin() + begin, shape.begin() + end, int64_t{1},
                           std::multiplies<>());
  };
  if (!whole || product(axis + 1, rank) == 1) return EmitElementwise(call, ir::Softmax{axis});
  ir::Shape folded = {1};
  if (axis > 1) folded.push_back(product(1, axis));
  folded.push_back(product(axis, rank));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId flat, call.EmitReshape(x, folded, "flat"));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y,
                       call.Emit(ir::Softmax{static_cast<int64_t>(folded.size()) - 1}, {flat}));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId result, call.EmitReshape(y, shape));
  return call.Return(result);
}

// The other inputs are its rate and whether it is in training.
Status ImportDropout(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  if (call.Has(2)) {
    HAQ_ASSIGN_OR_RETURN(const double training, call.NumberOf(2));
    if (training != 0) return Unsupported("is in training mode; export the model for inference");
  }
  HAQ_RETURN_IF_ERROR(call.RefuseOutput(1, "the mask"));
  return call.Return(x);
}

Status ImportIdentity(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  return call.Return(x);
}

// Of floating point types only: the network computes with real numbers.
Status ImportCast(NodeCall& call) {
  if (call.IsQuantized(0)) return ImportIndex(call);
  HAQ_ASSIGN_OR_RETURN(const int64_t to, call.Int("to", 0));
  if (!IsFloat(static_cast<ElementType>(to))) {
    return Unsupported("casts an activation to type {}; supported are float, float16 and double",
                       to);
  }
  return ImportIdentity(call);
}

}  // namespace

ImporterTable ActivationImporters() {
  return {{"Relu", ImportRelu},
          {"Clip", ImportClip},
          {"Max", ImportMax},
          {"Min", ImportMin},
          {"LeakyRelu", ImportLeakyRelu},
          {"PRelu", ImportPrelu},
          {"Sigmoid", ImportSimple<ir::Sigmoid>},
          {"HardSigmoid", ImportHardSigmoid},
          {"HardSwish", ImportSimple<ir::HardSwish>},
          {"Tanh", ImportSimple<ir::Tanh>},
          {"Softmax", ImportSoftmax},
          {"Dropout", ImportDropout},
          {"Identity", ImportIdentity},
          {"Cast", ImportCast}};
}

}  // namespace haq::import::from_onnx
