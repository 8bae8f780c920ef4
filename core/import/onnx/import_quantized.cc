// QuantizeLinear and DequantizeLinear: models that were quantized elsewhere. A pair of them around
// an activation says its scale and zero point and cuts it to what 8 bits can say; one behind a
// constant makes it real numbers again.
#include <algorithm>
#include <cmath>

#include "core/import/onnx/constants.h"
#include "core/import/onnx/fold.h"
#include "core/import/onnx/operators.h"

namespace haq::import::from_onnx {

namespace {

using Levels = ir::GivenQuantization::Levels;

// Of activations: ratios and products of such scales are numbers.
constexpr float kSmallestScale = 0x1p-40f;

bool IsByte(ElementType type) { return type == ElementType::kUint8 || type == ElementType::kInt8; }

Result<TensorPtr> ScaleOf(const NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(TensorPtr scale, call.ConstantOf(1));
  if (!scale->is_float()) return InvalidArgument("the scale is of {}", TypeName(scale->type));
  for (const float value : scale->floats) {
    if (std::isfinite(value) && value > 0) continue;
    return InvalidArgument("a scale is {}, it must be a number over 0", value);
  }
  return scale;
}

// Of an activation: one scale, one zero point of 8 bits. Signed levels become unsigned ones.
Result<Levels> LevelsOf(const NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const TensorPtr scale, ScaleOf(call));
  if (scale->count() != 1) {
    return Unsupported("quantizes an activation with {} scales; supported is one", scale->count());
  }
  Levels levels{scale->floats[0], 0};
  if (levels.scale < kSmallestScale || levels.scale > 1 / kSmallestScale) {
    return InvalidArgument("a scale is {}, allowed are {} to {}", levels.scale, kSmallestScale,
                           1 / kSmallestScale);
  }
  if (!call.Has(2)) return levels;
  HAQ_ASSIGN_OR_RETURN(const TensorPtr zero, call.ConstantOf(2));
  if (zero->count() != 1 || !IsByte(zero->type)) {
    return Unsupported("has {} zero points of {}; supported is one of uint8 or int8", zero->count(),
                       TypeName(zero->type));
  }
  levels.zero_point =
      static_cast<int32_t>(zero->integers[0]) + (zero->type == ElementType::kInt8 ? 128 : 0);
  return levels;
}

Status ImportQuantize(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  HAQ_ASSIGN_OR_RETURN(const Levels levels, LevelsOf(call));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.EmitGiven(x, levels));
  const bool is_signed = call.Has(2) && (*call.ConstantOf(2))->type == ElementType::kInt8;
  return call.Return(Known{.value = y, .quantized = true, .is_signed = is_signed});
}

Status ImportDequantize(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  if (!call.IsQuantized(0)) {
    return Unsupported("dequantizes what no QuantizeLinear made");
  }
  HAQ_ASSIGN_OR_RETURN(const Levels levels, LevelsOf(call));
  if (call.InputAt(0).lookup) {
    HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, EmitLookup(call, call.InputAt(0), levels));
    return call.Return(y);
  }
  if (call.GivenOf(x) == levels) return call.Return(x);
  return Unsupported("reads levels with another scale or zero point than they were made with");
}

// How many neighbouring elements share a scale, and how many scales there are.
struct Channels {
  int64_t count = 1, inner = 1;
};

Result<Channels> ChannelsOf(const NodeCall& call, const Tensor& x, const Tensor& scale) {
  if (scale.count() == 1) return Channels{};
  const auto rank = static_cast<int64_t>(x.shape.size());
  HAQ_ASSIGN_OR_RETURN(int64_t axis, call.Int("axis", 1));
  HAQ_ASSIGN_OR_RETURN(axis, NodeCall::Axis(axis, rank));
  if (scale.count() != x.shape[axis]) {
    return InvalidArgument("{} scales for axis {} of {}", scale.count(), axis,
                           ir::ShapeToString(x.shape));
  }
  Channels channels{scale.count(), 1};
  for (int64_t d = axis + 1; d < rank; ++d) channels.inner *= x.shape[d];
  return channels;
}

// The zero points, one for each scale; zeros where there are none.
Result<std::vector<int64_t>> ZeroPoints(const NodeCall& call, const Tensor& scale) {
  if (!call.Has(2)) return std::vector<int64_t>(scale.count(), 0);
  HAQ_ASSIGN_OR_RETURN(const TensorPtr zero, call.ConstantOf(2));
  if (zero->is_float() || zero->count() != scale.count()) {
    return InvalidArgument("{} zero points of {} for {} scales", zero->count(),
                           TypeName(zero->type), scale.count());
  }
  return zero->integers;
}

Status FoldDequantize(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const TensorPtr x, call.ConstantOf(0));
  HAQ_ASSIGN_OR_RETURN(const TensorPtr scale, ScaleOf(call));
  HAQ_ASSIGN_OR_RETURN(const std::vector<int64_t> zeros, ZeroPoints(call, *scale));
  HAQ_ASSIGN_OR_RETURN(const Channels channels, ChannelsOf(call, *x, *scale));
  if (x->is_float()) return InvalidArgument("dequantizes {}", TypeName(x->type));
  Tensor real{ElementType::kFloat, x->shape, {}, {}};
  real.floats.reserve(x->integers.size());
  for (int64_t i = 0; i < x->count(); ++i) {
    const int64_t c = i / channels.inner % channels.count;
    real.floats.push_back(static_cast<float>(double(x->integers[i] - zeros[c]) * scale->floats[c]));
  }
  const bool symmetric = std::all_of(zeros.begin(), zeros.end(), [](int64_t z) { return z == 0; });
  if (symmetric && IsByte(x->type)) real.scales = scale->floats;
  return call.Return(std::make_shared<const Tensor>(std::move(real)));
}

// Weights that are stored as real numbers and quantized in the graph.
Status FoldQuantize(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const TensorPtr x, call.ConstantOf(0));
  HAQ_ASSIGN_OR_RETURN(const TensorPtr scale, ScaleOf(call));
  HAQ_ASSIGN_OR_RETURN(const std::vector<int64_t> zeros, ZeroPoints(call, *scale));
  HAQ_ASSIGN_OR_RETURN(const Channels channels, ChannelsOf(call, *x, *scale));
  if (!x->is_float()) return InvalidArgument("quantizes {}", TypeName(x->type));
  const ElementType type = call.Has(2) ? (*call.ConstantOf(2))->type : ElementType::kUint8;
  const auto [low, high] = RangeOf(type);
  Tensor levels{type, x->shape, {}, {}};
  levels.integers.reserve(x->floats.size());
  for (int64_t i = 0; i < x->count(); ++i) {
    const int64_t c = i / channels.inner % channels.count;
    const double level = std::nearbyint(double(x->floats[i]) / scale->floats[c]) + double(zeros[c]);
    levels.integers.push_back(
        std::isnan(level) ? zeros[c]
                          : static_cast<int64_t>(std::clamp(level, double(low), double(high))));
  }
  return call.Return(std::make_shared<const Tensor>(std::move(levels)));
}

}  // namespace

ImporterTable QuantizedImporters() {
  return {{"QuantizeLinear", ImportQuantize}, {"DequantizeLinear", ImportDequantize}};
}

FolderTable QuantizedFolders() {
  return {{"QuantizeLinear", FoldQuantize}, {"DequantizeLinear", FoldDequantize}};
}

}  // namespace haq::import::from_onnx
