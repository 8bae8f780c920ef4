// add, sub, mul, div of activations with each other and with constants.
#include <ATen/ATen.h>

#include "core/import/torchscript/operators.h"

namespace haq::import {

namespace {

// Beyond it a constant of one value per element is more likely a mistake than a network.
constexpr int64_t kMaxAffineElements = int64_t{1} << 24;

// `constant` with as many dimensions as `shape`, leading ones added or removed.
Result<at::Tensor> AlignRank(const at::Tensor& constant, const ir::Shape& shape) {
  at::Tensor aligned = constant;
  const auto rank = static_cast<int64_t>(shape.size());
  while (aligned.dim() > rank && aligned.size(0) == 1) aligned = aligned.squeeze(0);
  while (aligned.dim() < rank) aligned = aligned.unsqueeze(0);
  bool fits = aligned.dim() == rank;
  for (int64_t i = 0; fits && i < rank; ++i) {
    fits = aligned.size(i) == 1 || aligned.size(i) == shape[i];
  }
  if (!fits) {
    return Unsupported("combines {} with a constant of shape {}", ir::ShapeToString(shape),
                       ir::ShapeToString(ShapeOf(constant)));
  }
  return aligned;
}

bool IsPerChannel(const at::Tensor& aligned) {
  return aligned.dim() >= 2 && aligned.numel() == aligned.size(1);
}

at::Tensor Scalar(double value) { return at::scalar_tensor(value, at::kDouble); }

// What an operator does with one activation x and one constant c.
struct Affine {
  at::Tensor scale, shift;
};

Status ReturnAffine(OpCall& call, ir::ValueId x, const Affine& affine) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, EmitAffine(call, x, affine.scale, affine.shift));
  return call.Return(y);
}

double Alpha(const OpCall& call) { return call.Has("alpha") ? call.Number("alpha") : 1; }

// a + factor * b for two activations.
Status ReturnSum(OpCall& call, ir::ValueId a, ir::ValueId b, double factor) {
  if (factor != 1) {
    HAQ_ASSIGN_OR_RETURN(b, EmitAffine(call, b, Scalar(factor), Scalar(0), "scaled"));
  }
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(ir::Add{}, {a, b}));
  return call.Return(y);
}

// self + sign * alpha * other
Status ImportSum(OpCall& call, double sign) {
  const double factor = sign * Alpha(call);
  if (call.IsActivation("self") && call.IsActivation("other")) {
    return ReturnSum(call, call.ValueOf(call.Arg("self")), call.ValueOf(call.Arg("other")), factor);
  }
  if (call.IsActivation("self")) {
    HAQ_ASSIGN_OR_RETURN(const at::Tensor other, call.ConstantOf("other"));
    return ReturnAffine(call, call.ValueOf(call.Arg("self")), {Scalar(1), other * factor});
  }
  HAQ_ASSIGN_OR_RETURN(const at::Tensor self, call.ConstantOf("self"));
  return ReturnAffine(call, call.ValueOf(call.Arg("other")), {Scalar(factor), self});
}

Status ImportAdd(OpCall& call) { return ImportSum(call, 1); }
Status ImportSub(OpCall& call) { return ImportSum(call, -1); }

// other - alpha * self
Status ImportReversedSub(OpCall& call) {
  const double alpha = Alpha(call);
  if (call.IsActivation("self") && call.IsActivation("other")) {
    return ReturnSum(call, call.ValueOf(call.Arg("other")), call.ValueOf(call.Arg("self")), -alpha);
  }
  if (call.IsActivation("self")) {
    HAQ_ASSIGN_OR_RETURN(const at::Tensor other, call.ConstantOf("other"));
    return ReturnAffine(call, call.ValueOf(call.Arg("self")), {Scalar(-alpha), other});
  }
  HAQ_ASSIGN_OR_RETURN(const at::Tensor self, call.ConstantOf("self"));
  return ReturnAffine(call, call.ValueOf(call.Arg("other")), {Scalar(1), self * -alpha});
}

Status ImportMul(OpCall& call) {
  if (call.IsActivation("self") && call.IsActivation("other")) {
    HAQ_ASSIGN_OR_RETURN(
        const ir::ValueId y,
        call.Emit(ir::Mul{}, {call.ValueOf(call.Arg("self")), call.ValueOf(call.Arg("other"))}));
    return call.Return(y);
  }
  const bool self = call.IsActivation("self");
  HAQ_ASSIGN_OR_RETURN(const at::Tensor constant, call.ConstantOf(self ? "other" : "self"));
  return ReturnAffine(call, call.ValueOf(call.Arg(self ? "self" : "other")), {constant, Scalar(0)});
}

Status ImportDiv(OpCall& call) {
  if (call.Has("rounding_mode")) return Unsupported("rounds");
  if (call.IsActivation("other")) {
    return Unsupported("divides by an activation; it can divide by constants");
  }
  HAQ_ASSIGN_OR_RETURN(const at::Tensor other, call.ConstantOf("other"));
  return ReturnAffine(call, call.ValueOf(call.Arg("self")), {other.reciprocal(), Scalar(0)});
}

Status ImportNeg(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("self"));
  return ReturnAffine(call, x, {Scalar(-1), Scalar(0)});
}

Status ImportSquare(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("self"));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(ir::Mul{}, {x, x}));
  return call.Return(y);
}

}  // namespace

Result<ir::ValueId> EmitAffine(OpCall& call, ir::ValueId x, const at::Tensor& scale,
                               const at::Tensor& shift, std::string_view part) {
  const ir::Shape shape = call.ShapeOfValue(x);
  HAQ_ASSIGN_OR_RETURN(at::Tensor scales, AlignRank(scale, shape));
  HAQ_ASSIGN_OR_RETURN(at::Tensor shifts, AlignRank(shift, shape));
  const bool one_each = scales.numel() == 1 && shifts.numel() == 1;
  const bool per_channel = (scales.numel() == 1 || IsPerChannel(scales)) &&
                           (shifts.numel() == 1 || IsPerChannel(shifts));
  if (shape.size() >= 2 && (one_each || per_channel)) {
    const auto spread = [&](const at::Tensor& t) {
      return ToFloats(t.reshape({-1}).expand({shape[1]}));
    };
    return call.Emit(ir::ChannelAffine{spread(scales), spread(shifts)}, {x}, {}, part);
  }
  // One value per element: every element is a channel of a flat tensor.
  HAQ_ASSIGN_OR_RETURN(const int64_t count, ir::ElementCount(shape));
  if (count > kMaxAffineElements) {
    return Unsupported("has a constant for each of {} elements", count);
  }
  const auto spread = [&](const at::Tensor& t) { return ToFloats(t.expand(shape)); };
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId flat, call.EmitReshape(x, {1, count}, "flat"));
  HAQ_ASSIGN_OR_RETURN(
      const ir::ValueId y,
      call.Emit(ir::ChannelAffine{spread(scales), spread(shifts)}, {flat}, {}, part));
  return call.EmitReshape(y, shape);
}

ImporterTable ArithmeticImporters() {
  ImporterTable table = {
      {"add", ImportAdd},      {"sub", ImportSub},         {"subtract", ImportSub},
      {"mul", ImportMul},      {"multiply", ImportMul},    {"div", ImportDiv},
      {"divide", ImportDiv},   {"true_divide", ImportDiv}, {"neg", ImportNeg},
      {"negative", ImportNeg}, {"square", ImportSquare}};
  ImporterTable in_place;
  for (const auto& [name, importer] : table) in_place.emplace(name + "_", importer);
  table.merge(in_place);
  table.emplace("rsub", ImportReversedSub);
  return table;
}

}  // namespace haq::import
