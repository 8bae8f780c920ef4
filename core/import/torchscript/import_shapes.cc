// The same elements in another shape or order.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/import/images/repeat.h"
#include "core/import/torchscript/operators.h"

namespace haq::import {

namespace {

Result<ir::ValueId> Self(const OpCall& call) {
  return call.Activation(call.schema().arguments()[0].name());
}

Status ImportReshape(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, Self(call));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.EmitReshape(x, call.OutputShape(), ""));
  return call.Return(y);
}

// A batch of 1 must not be squeezed away: the graph stands for any batch.
Status ImportSqueeze(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, Self(call));
  const at::Tensor squeezed = call.outputs[0].toTensor();
  const ir::Shape before = call.ShapeOfValue(x);
  ir::Shape after = ShapeOf(squeezed);
  const bool batch_is_gone = !call.Has("dim") || *call.Axis("dim", before.size()) == 0;
  if (batch_is_gone) after.insert(after.begin(), 1);
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.EmitReshape(x, after, ""));
  // A new tensor, so that whoever reads it sees the batch too.
  if (batch_is_gone) call.outputs[0] = squeezed.reshape(after);
  return call.Return(y);
}

// Dimensions of 1 may go anywhere without an element changing its place.
bool OnlyOnesMove(const ir::Shape& shape, const std::vector<int64_t>& order) {
  int64_t last = -1;
  for (const int64_t dimension : order) {
    if (shape[dimension] == 1) continue;
    if (dimension < last) return false;
    last = dimension;
  }
  return true;
}

Result<ir::ValueId> EmitPermute(OpCall& call, ir::ValueId x, std::vector<int64_t> order,
                                std::string_view part = "") {
  const ir::Shape shape = call.ShapeOfValue(x);
  if (OnlyOnesMove(shape, order)) {
    ir::Shape permuted;
    for (const int64_t dimension : order) permuted.push_back(shape[dimension]);
    return call.EmitReshape(x, permuted, part);
  }
  return call.Emit(ir::Permute{std::move(order)}, {x}, {}, part);
}

Status ReturnPermute(OpCall& call, ir::ValueId x, std::vector<int64_t> order) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, EmitPermute(call, x, std::move(order)));
  return call.Return(y);
}

Status ImportPermute(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, Self(call));
  const auto rank = static_cast<int64_t>(call.ShapeOfValue(x).size());
  HAQ_ASSIGN_OR_RETURN(std::vector<int64_t> order, call.Axes("dims", rank));
  return ReturnPermute(call, x, std::move(order));
}

Status SwapAxes(OpCall& call, ir::ValueId x, int64_t first, int64_t second) {
  std::vector<int64_t> order(call.ShapeOfValue(x).size());
  std::iota(order.begin(), order.end(), 0);
  if (!order.empty()) std::swap(order[first], order[second]);
  return ReturnPermute(call, x, std::move(order));
}

Status ImportTranspose(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, Self(call));
  const auto rank = static_cast<int64_t>(call.ShapeOfValue(x).size());
  const std::string_view a = call.Has("dim0") ? "dim0" : "axis0";
  const std::string_view b = call.Has("dim1") ? "dim1" : "axis1";
  HAQ_ASSIGN_OR_RETURN(const int64_t first, call.Axis(a, rank));
  HAQ_ASSIGN_OR_RETURN(const int64_t second, call.Axis(b, rank));
  return SwapAxes(call, x, first, second);
}

Status ImportT(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, Self(call));
  return SwapAxes(call, x, 0, static_cast<int64_t>(call.ShapeOfValue(x).size()) - 1);
}

// [N, C, H, W] that becomes larger only by repetition stays as it is until it meets its partner:
// add and mul broadcast [N, C, 1, 1] themselves.
Status ImportExpand(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, Self(call));
  const ir::Shape before = call.ShapeOfValue(x), after = call.OutputShape();
  if (before == after) return call.Return(x);
  if (before.size() != 4 || after.size() != 4 || before[2] != 1 || before[3] != 1 ||
      before[1] != after[1] || after[0] != 1) {
    return Unsupported("broadcasts {} to {}", ir::ShapeToString(before), ir::ShapeToString(after));
  }
  call.ReturnBroadcast(x);
  return {};
}

// reshape, permute, reshape: what shuffles channels and pixels do.
Status EmitShuffle(OpCall& call, const ir::Shape& split, std::vector<int64_t> order) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, Self(call));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId apart, call.EmitReshape(x, split, "split"));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId moved, EmitPermute(call, apart, std::move(order)));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.EmitReshape(moved, call.OutputShape()));
  return call.Return(y);
}

Status ImportChannelShuffle(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, Self(call));
  const ir::Shape shape = call.ShapeOfValue(x);
  const int64_t groups = call.Int("groups");
  if (shape.size() != 4) return Unsupported("shuffles {}", ir::ShapeToString(shape));
  return EmitShuffle(call, {1, groups, shape[1] / groups, shape[2], shape[3]}, {0, 2, 1, 3, 4});
}

Status ImportPixelShuffle(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, Self(call));
  const ir::Shape shape = call.ShapeOfValue(x);
  const int64_t r = call.Int("upscale_factor");
  if (shape.size() != 4) return Unsupported("shuffles {}", ir::ShapeToString(shape));
  return EmitShuffle(call, {1, shape[1] / r / r, r, r, shape[2], shape[3]}, {0, 1, 4, 2, 5, 3});
}

Status ImportPixelUnshuffle(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, Self(call));
  const ir::Shape shape = call.ShapeOfValue(x);
  const int64_t r = call.Int("downscale_factor");
  if (shape.size() != 4) return Unsupported("shuffles {}", ir::ShapeToString(shape));
  return EmitShuffle(call, {1, shape[1], shape[2] / r, r, shape[3] / r, r}, {0, 1, 3, 5, 2, 4});
}

// The factors by which PyTorch was told to enlarge H and W; 0 where it follows from the sizes.
std::array<double, 2> ToldScales(const OpCall& call) {
  const c10::IValue& list = call.Arg("scale_factors");
  if (list.isDoubleList() && list.toDoubleVector().size() == 2) {
    return {list.toDoubleVector()[0], list.toDoubleVector()[1]};
  }
  const auto scale = [&](std::string_view name) {
    return call.Has(name) ? call.Number(name) : 0.0;
  };
  return {scale("scales_h"), scale("scales_w")};
}

// PyTorch's formula for the place that an output comes from, in single precision.
bool Repeats(int64_t size, int64_t outputs, double told_scale) {
  const float step = told_scale > 0 ? static_cast<float>(1 / told_scale)
                                    : static_cast<float>(size) / static_cast<float>(outputs);
  for (int64_t out = 0; out < outputs; ++out) {
    const auto place = static_cast<int64_t>(std::floor(static_cast<float>(out) * step));
    if (std::min(place, size - 1) != out / (outputs / size)) return false;
  }
  return true;
}

Status ImportUpsampleNearest(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, Self(call));
  const ir::Shape shape = call.ShapeOfValue(x), output = call.OutputShape();
  const std::array<double, 2> told = ToldScales(call);
  for (int i = 2; i < 4; ++i) {
    if (output[i] % shape[i] == 0 && Repeats(shape[i], output[i], told[i - 2])) continue;
    return Unsupported("makes {} of {}; supported are whole factors of rows and columns",
                       ir::ShapeToString(output), ir::ShapeToString(shape));
  }
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y,
                       EmitRepeat(call, x, shape, {output[2] / shape[2], output[3] / shape[3]}));
  return call.Return(y);
}

}  // namespace

ImporterTable ShapeImporters() {
  return {{"view", ImportReshape},
          {"reshape", ImportReshape},
          {"_reshape_alias", ImportReshape},
          {"_unsafe_view", ImportReshape},
          {"view_as", ImportReshape},
          {"reshape_as", ImportReshape},
          {"flatten", ImportReshape},
          {"unflatten", ImportReshape},
          {"unsqueeze", ImportReshape},
          {"unsqueeze_", ImportReshape},
          {"squeeze", ImportSqueeze},
          {"squeeze_", ImportSqueeze},
          {"permute", ImportPermute},
          {"transpose", ImportTranspose},
          {"swapaxes", ImportTranspose},
          {"swapdims", ImportTranspose},
          {"t", ImportT},
          {"expand", ImportExpand},
          {"expand_as", ImportExpand},
          {"channel_shuffle", ImportChannelShuffle},
          {"pixel_shuffle", ImportPixelShuffle},
          {"upsample_nearest2d", ImportUpsampleNearest},
          {"pixel_unshuffle", ImportPixelUnshuffle}};
}

}  // namespace haq::import
