// Parts of activations, activations with an edge around them, and activations side by side.
#include <ATen/ATen.h>

#include <algorithm>

#include "core/import/torchscript/operators.h"

namespace haq::import {

namespace {

// `count` elements of `axis` from `start` in steps of `step`.
Result<ir::ValueId> EmitSlice(OpCall& call, ir::ValueId x, const ir::Slice& slice, int64_t count) {
  ir::Shape shape = call.ShapeOfValue(x);
  if (slice.axis < 0 || slice.axis >= static_cast<int64_t>(shape.size())) {
    return Unsupported("axis {} of {}", slice.axis, ir::ShapeToString(shape));
  }
  if (shape[slice.axis] == count && slice.start == 0) return x;
  shape[slice.axis] = count;
  return call.Emit(slice, {x}, shape);
}

Result<int64_t> RankOf(const OpCall& call, ir::ValueId x) {
  return static_cast<int64_t>(call.ShapeOfValue(x).size());
}

Status ImportSlice(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("self"));
  HAQ_ASSIGN_OR_RETURN(const int64_t rank, RankOf(call, x));
  HAQ_ASSIGN_OR_RETURN(const int64_t axis, call.Axis("dim", rank));
  const int64_t size = call.ShapeOfValue(x)[axis];
  int64_t start = call.Has("start") ? call.Int("start") : 0;
  if (start < 0) start += size;
  start = std::clamp<int64_t>(start, 0, size);
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, EmitSlice(call, x, {axis, start, call.Int("step")},
                                                      call.OutputShape()[axis]));
  return call.Return(y);
}

Status ImportNarrow(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("self"));
  HAQ_ASSIGN_OR_RETURN(const int64_t rank, RankOf(call, x));
  HAQ_ASSIGN_OR_RETURN(const int64_t axis, call.Axis("dim", rank));
  const double start = call.Number("start");
  const auto begin = static_cast<int64_t>(start < 0 ? start + call.ShapeOfValue(x)[axis] : start);
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y,
                       EmitSlice(call, x, {axis, begin, 1}, call.Int("length")));
  return call.Return(y);
}

Status ImportSelect(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("self"));
  HAQ_ASSIGN_OR_RETURN(const int64_t rank, RankOf(call, x));
  HAQ_ASSIGN_OR_RETURN(const int64_t axis, call.Axis("dim", rank));
  if (axis == 0) return Unsupported("selects a sample of the batch");
  int64_t index = call.Int("index");
  if (index < 0) index += call.ShapeOfValue(x)[axis];
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId one, EmitSlice(call, x, {axis, index, 1}, 1));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.EmitReshape(one, call.OutputShape()));
  return call.Return(y);
}

// chunk, split, tensor_split and unbind: neighbouring slices, whose sizes the outputs tell.
Status ImportSplit(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("self"));
  HAQ_ASSIGN_OR_RETURN(const int64_t rank, RankOf(call, x));
  HAQ_ASSIGN_OR_RETURN(const int64_t axis, call.Axis("dim", rank));
  if (axis == 0) return Unsupported("splits the batch");
  int64_t start = 0;
  const c10::List<at::Tensor> parts = call.outputs[0].toTensorList();
  for (size_t i = 0; i < parts.size(); ++i) {
    const at::Tensor part = parts.get(i);
    const ir::Shape shape = ShapeOf(part);
    const int64_t count = part.dim() == rank ? shape[axis] : 1;
    HAQ_ASSIGN_OR_RETURN(ir::ValueId y, EmitSlice(call, x, {axis, start, 1}, count));
    HAQ_ASSIGN_OR_RETURN(y, call.EmitReshape(y, shape));
    HAQ_RETURN_IF_ERROR(call.ReturnTensor(part, y));
    start += count;
  }
  return {};
}

// Negative padding cuts.
Result<ir::ValueId> EmitPad(OpCall& call, ir::ValueId x, ir::Pad pad) {
  const size_t rank = pad.before.size();
  for (size_t i = 0; i < rank; ++i) {
    const int64_t cut_before = std::max<int64_t>(0, -pad.before[i]);
    const int64_t cut_after = std::max<int64_t>(0, -pad.after[i]);
    if (cut_before == 0 && cut_after == 0) continue;
    const int64_t size = call.ShapeOfValue(x)[i];
    HAQ_ASSIGN_OR_RETURN(x, EmitSlice(call, x, {static_cast<int64_t>(i), cut_before, 1},
                                      size - cut_before - cut_after));
    pad.before[i] += cut_before;
    pad.after[i] += cut_after;
  }
  const auto is_zero = [](int64_t value) { return value == 0; };
  if (std::all_of(pad.before.begin(), pad.before.end(), is_zero) &&
      std::all_of(pad.after.begin(), pad.after.end(), is_zero)) {
    return x;
  }
  return call.Emit(std::move(pad), {x});
}

// The list has (before, after) of the last dimension first.
Status ImportPad(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("self"));
  if (call.Arg("mode").isString() && call.Arg("mode").toStringRef() != "constant") {
    return Unsupported("mode '{}'; it can pad with a constant", call.Arg("mode").toStringRef());
  }
  const std::vector<int64_t> amounts = call.Arg("pad").toIntVector();
  const size_t rank = call.ShapeOfValue(x).size();
  if (amounts.size() % 2 != 0 || amounts.size() / 2 > rank) {
    return Unsupported("pads by {} numbers", amounts.size());
  }
  ir::Pad pad{std::vector<int64_t>(rank, 0), std::vector<int64_t>(rank, 0),
              call.Has("value") ? static_cast<float>(call.Number("value")) : 0.0f};
  for (size_t i = 0; i < amounts.size() / 2; ++i) {
    pad.before[rank - 1 - i] = amounts[2 * i];
    pad.after[rank - 1 - i] = amounts[2 * i + 1];
  }
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, EmitPad(call, x, std::move(pad)));
  return call.Return(y);
}

// What cat is given: activations in the middle, constants (as padding) around them.
struct CatParts {
  std::vector<ir::ValueId> activations;
  int64_t before = 0, after = 0;
  std::optional<float> fill;
};

Status AddConstantPart(CatParts& parts, const at::Tensor& constant, int64_t axis) {
  if (constant.numel() == 0) return {};
  const float value = constant.flatten()[0].item().toFloat();
  if (!constant.eq(value).all().item<bool>() || (parts.fill && *parts.fill != value)) {
    return Unsupported("joins an activation with a constant of different values");
  }
  parts.fill = value;
  (parts.activations.empty() ? parts.before : parts.after) += constant.size(axis);
  return {};
}

Result<CatParts> SortCatParts(OpCall& call, int64_t axis) {
  CatParts parts;
  for (const c10::IValue& item : call.Arg("tensors").toListRef()) {
    const ir::ValueId value = call.ValueOf(item);
    if (value == -1) {
      HAQ_RETURN_IF_ERROR(AddConstantPart(parts, item.toTensor(), axis));
    } else if (parts.after != 0) {
      return Unsupported("joins a constant between two activations");
    } else {
      parts.activations.push_back(value);
    }
  }
  return parts;
}

Status ImportCat(OpCall& call) {
  const auto rank = static_cast<int64_t>(call.OutputShape().size());
  HAQ_ASSIGN_OR_RETURN(const int64_t axis, call.Axis("dim", rank));
  if (axis == 0) return Unsupported("joins along the batch");
  HAQ_ASSIGN_OR_RETURN(const CatParts parts, SortCatParts(call, axis));
  ir::ValueId y = parts.activations[0];
  if (parts.activations.size() > 1) {
    HAQ_ASSIGN_OR_RETURN(y, call.Emit(ir::Concat{axis}, parts.activations));
  }
  if (parts.before + parts.after > 0) {
    ir::Pad pad{std::vector<int64_t>(rank, 0), std::vector<int64_t>(rank, 0), *parts.fill};
    pad.before[axis] = parts.before;
    pad.after[axis] = parts.after;
    HAQ_ASSIGN_OR_RETURN(y, call.Emit(std::move(pad), {y}, {}, "pad"));
  }
  return call.Return(y);
}

Status ImportStack(OpCall& call) {
  const ir::Shape output = call.OutputShape();
  HAQ_ASSIGN_OR_RETURN(const int64_t axis, call.Axis("dim", static_cast<int64_t>(output.size())));
  ir::Shape one = output;
  one[axis] = 1;
  std::vector<ir::ValueId> parts;
  for (const c10::IValue& item : call.Arg("tensors").toListRef()) {
    if (call.ValueOf(item) == -1) return Unsupported("joins an activation with a constant");
    HAQ_ASSIGN_OR_RETURN(const ir::ValueId part,
                         call.EmitReshape(call.ValueOf(item), one, "unsqueeze"));
    parts.push_back(part);
  }
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(ir::Concat{axis}, parts));
  return call.Return(y);
}

}  // namespace

ImporterTable SelectionImporters() {
  return {{"slice", ImportSlice},
          {"narrow", ImportNarrow},
          {"select", ImportSelect},
          {"chunk", ImportSplit},
          {"split", ImportSplit},
          {"split_with_sizes", ImportSplit},
          {"tensor_split", ImportSplit},
          {"unbind", ImportSplit},
          {"constant_pad_nd", ImportPad},
          {"pad", ImportPad},
          {"cat", ImportCat},
          {"concat", ImportCat},
          {"stack", ImportStack}};
}

}  // namespace haq::import
