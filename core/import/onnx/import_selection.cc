// Parts of activations, activations with an edge around them, and activations side by side.
#include <algorithm>

#include "core/import/onnx/operators.h"
#include "core/import/onnx/shapes.h"

namespace haq::import::from_onnx {

namespace {

Status ImportConcat(NodeCall& call) {
  std::vector<ir::ValueId> inputs;
  for (size_t i = 0; i < call.InputCount(); ++i) {
    HAQ_ASSIGN_OR_RETURN(const ir::ValueId input, call.Activation(i));
    inputs.push_back(input);
  }
  HAQ_ASSIGN_OR_RETURN(int64_t axis, call.Int("axis", 1));
  HAQ_ASSIGN_OR_RETURN(axis,
                       NodeCall::Axis(axis, static_cast<int64_t>(call.ShapeOf(inputs[0]).size())));
  if (axis == 0) return Unsupported("puts samples of the batch together");
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(ir::Concat{axis}, inputs));
  return call.Return(y);
}

Status ImportSplit(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  const ir::Shape shape = call.ShapeOf(x);
  HAQ_ASSIGN_OR_RETURN(int64_t axis, call.Int("axis", 0));
  HAQ_ASSIGN_OR_RETURN(axis, NodeCall::Axis(axis, static_cast<int64_t>(shape.size())));
  if (axis == 0) return Unsupported("splits the batch");
  HAQ_ASSIGN_OR_RETURN(std::vector<int64_t> sizes, call.IntsOrInput("split", 1));
  const auto outputs = static_cast<int64_t>(call.OutputCount());
  if (sizes.empty() && outputs > 0 && shape[axis] % outputs == 0) {
    sizes.assign(outputs, shape[axis] / outputs);
  }
  int64_t total = 0;
  for (const int64_t size : sizes) {
    if (size < 1 || size > shape[axis]) return Unsupported("makes a part of {}", size);
    total += size;
  }
  if (static_cast<int64_t>(sizes.size()) != outputs || total != shape[axis]) {
    return InvalidArgument("splits {} into {} parts, {} in all, for {} outputs", shape[axis],
                           sizes.size(), total, outputs);
  }
  int64_t start = 0;
  for (int64_t i = 0; i < outputs; ++i) {
    HAQ_ASSIGN_OR_RETURN(const ir::ValueId part,
                         EmitSlice(call, x, {axis, start, 1}, sizes[i], std::to_string(i)));
    HAQ_RETURN_IF_ERROR(call.Return(part, i));
    start += sizes[i];
  }
  return {};
}

Status ImportSlice(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(ir::ValueId x, call.Activation(0));
  HAQ_ASSIGN_OR_RETURN(const std::vector<Cut> cuts, CutsOf(call, call.ShapeOf(x)));
  for (size_t i = 0; i < cuts.size(); ++i) {
    const Cut& cut = cuts[i];
    if (cut.axis == 0 && !cut.all) return Unsupported("takes a part of the batch");
    if (cut.step < 0) return Unsupported("goes backwards along dimension {}", cut.axis);
    if (cut.count < 1) return Unsupported("takes nothing of dimension {}", cut.axis);
    HAQ_ASSIGN_OR_RETURN(x, EmitSlice(call, x, {cut.axis, cut.start, cut.step}, cut.count,
                                      i + 1 == cuts.size() ? "" : "part" + std::to_string(i)));
  }
  return call.Return(x);
}

// One place, or neighbours in order, of a dimension.
Status ImportGather(NodeCall& call) {
  if (call.IsQuantized(1)) return ImportLookup(call);
  HAQ_RETURN_IF_ERROR(call.RefuseLevels());
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  HAQ_ASSIGN_OR_RETURN(const TensorPtr indices, call.ConstantOf(1));
  const ir::Shape shape = call.ShapeOf(x);
  HAQ_ASSIGN_OR_RETURN(int64_t axis, call.Int("axis", 0));
  HAQ_ASSIGN_OR_RETURN(axis, NodeCall::Axis(axis, static_cast<int64_t>(shape.size())));
  if (axis == 0) return Unsupported("selects samples of the batch");
  if (indices->is_float() || indices->shape.size() > 1 || indices->count() < 1) {
    return Unsupported("has indices of {}", ir::ShapeToString(indices->shape));
  }
  const int64_t first = indices->integers[0];
  if (first < -shape[axis] || first >= shape[axis]) {
    return InvalidArgument("index {} of {}", first, shape[axis]);
  }
  for (int64_t i = 0; i < indices->count(); ++i) {
    if (indices->integers[i] != first + i) {
      return Unsupported("takes places that are not neighbours");
    }
  }
  const int64_t start = first < 0 ? first + shape[axis] : first;
  const bool one = indices->shape.empty();
  HAQ_ASSIGN_OR_RETURN(ir::ValueId y,
                       EmitSlice(call, x, {axis, start, 1}, indices->count(), one ? "place" : ""));
  if (one) {
    ir::Shape output = shape;
    output.erase(output.begin() + axis);
    HAQ_ASSIGN_OR_RETURN(y, call.EmitReshape(y, output, ""));
  }
  return call.Return(y);
}

// Beginnings of all dimensions, then ends.
Result<std::vector<int64_t>> PadsOf(const NodeCall& call, size_t rank) {
  std::vector<int64_t> pads;
  if (call.opset() < 11) {
    HAQ_ASSIGN_OR_RETURN(pads, call.Ints("pads", {}));
  } else {
    HAQ_ASSIGN_OR_RETURN(pads, call.IntegersOf(1));
  }
  if (pads.size() != 2 * rank) {
    return InvalidArgument("pads has {} numbers for {} dimensions", pads.size(), rank);
  }
  for (const int64_t pad : pads) {
    if (pad > (1 << 20) || pad < -(1 << 20)) return InvalidArgument("pads by {}", pad);
  }
  return pads;
}

Result<double> PadValue(const NodeCall& call) {
  if (call.opset() < 11) {
    HAQ_ASSIGN_OR_RETURN(const float value, call.Float("value", 0));
    return double(value);
  }
  return call.Has(2) ? call.NumberOf(2) : Result<double>(0.0);
}

// Negative padding cuts.
Status ImportPad(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(ir::ValueId x, call.Activation(0));
  HAQ_ASSIGN_OR_RETURN(const std::string mode, call.Text("mode", "constant"));
  if (mode != "constant") return Unsupported("mode '{}'; supported is constant", mode);
  const size_t rank = call.ShapeOf(x).size();
  HAQ_ASSIGN_OR_RETURN(const std::vector<int64_t> pads, PadsOf(call, rank));
  HAQ_ASSIGN_OR_RETURN(const double value, PadValue(call));
  ir::Pad pad{std::vector<int64_t>(rank), std::vector<int64_t>(rank), static_cast<float>(value)};
  bool pads_something = false;
  for (size_t i = 0; i < rank; ++i) {
    const int64_t cut_before = std::max<int64_t>(0, -pads[i]);
    const int64_t cut_after = std::max<int64_t>(0, -pads[rank + i]);
    pad.before[i] = pads[i] + cut_before;
    pad.after[i] = pads[rank + i] + cut_after;
    pads_something = pads_something || pad.before[i] > 0 || pad.after[i] > 0;
    if (cut_before == 0 && cut_after == 0) continue;
    HAQ_ASSIGN_OR_RETURN(
        x, EmitSlice(call, x, {static_cast<int64_t>(i), cut_before, 1},
                     call.ShapeOf(x)[i] - cut_before - cut_after, "cut" + std::to_string(i)));
  }
  if (pads_something) {
    HAQ_ASSIGN_OR_RETURN(x, call.Emit(std::move(pad), {x}));
  }
  return call.Return(x);
}

}  // namespace

Result<ir::ValueId> EmitSlice(NodeCall& call, ir::ValueId x, const ir::Slice& slice, int64_t count,
                              std::string_view part) {
  ir::Shape shape = call.ShapeOf(x);
  if (shape[slice.axis] == count && slice.start == 0) return x;
  if (slice.axis == 0) return Unsupported("takes a part of the batch");
  shape[slice.axis] = count;
  return call.Emit(slice, {x}, shape, part);
}

ImporterTable SelectionImporters() {
  return {{"Concat", ImportConcat},
          {"Split", ImportSplit},
          {"Slice", ImportSlice},
          {"Gather", ImportGather},
          {"Pad", ImportPad}};
}

}  // namespace haq::import::from_onnx
