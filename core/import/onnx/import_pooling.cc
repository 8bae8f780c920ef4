// Pooling, means and sums.
#include <algorithm>
#include <numeric>

#include "core/import/onnx/operators.h"
#include "core/import/onnx/windows.h"

namespace haq::import::from_onnx {

namespace {

Status ImportMaxPool(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  HAQ_RETURN_IF_ERROR(call.RefuseOutput(1, "the indices"));
  const ir::Shape shape = call.ShapeOf(x);
  HAQ_ASSIGN_OR_RETURN(const Windows windows, ReadWindows(call, shape, {}));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(MaxPoolOf(windows, shape), {x}));
  return call.Return(y);
}

Status ImportAveragePool(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  const ir::Shape shape = call.ShapeOf(x);
  HAQ_ASSIGN_OR_RETURN(const Windows windows, ReadWindows(call, shape, {}));
  if (windows.dilation != std::array<int64_t, 2>{1, 1}) return Unsupported("has dilations");
  HAQ_ASSIGN_OR_RETURN(const int64_t include_pad, call.Int("count_include_pad", 0));
  HAQ_RETURN_IF_ERROR(
      CountOf({1, shape[1], windows.outputs[0], windows.outputs[1]}, int64_t{1} << 40).status());
  AveragePool average = AveragePoolOf(windows, shape, include_pad != 0);
  ir::ValueId input = x;
  if (average.pad) {
    HAQ_ASSIGN_OR_RETURN(input, call.Emit(*average.pad, {x}, {}, "pad"));
  }
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(std::move(average.pool), {input}));
  return call.Return(y);
}

Result<ir::ValueId> Image(const NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  if (call.ShapeOf(x).size() == 4) return x;
  return Unsupported("pools {}; supported is [N, C, H, W]", ir::ShapeToString(call.ShapeOf(x)));
}

Status ImportGlobalAveragePool(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, Image(call));
  const ir::Shape shape = call.ShapeOf(x);
  HAQ_ASSIGN_OR_RETURN(
      const ir::ValueId y,
      call.Emit(AverageOf(AdaptiveSpans(shape[2], 1), AdaptiveSpans(shape[3], 1), 0), {x}));
  return call.Return(y);
}

Status ImportGlobalMaxPool(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, Image(call));
  const std::array<int64_t, 2> kernel{call.ShapeOf(x)[2], call.ShapeOf(x)[3]};
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y,
                       call.Emit(ir::MaxPool2d{kernel, {1, 1}, {1, 1}, {}}, {x}));
  return call.Return(y);
}

// Which dimensions a reduction works over, in order: neighbours after the batch.
Result<std::vector<int64_t>> ReducedAxes(const NodeCall& call, int64_t rank) {
  HAQ_ASSIGN_OR_RETURN(std::vector<int64_t> axes, call.IntsOrInput("axes", 1));
  if (axes.empty()) {
    axes.resize(rank);
    std::iota(axes.begin(), axes.end(), 0);
  }
  HAQ_ASSIGN_OR_RETURN(axes, NodeCall::Axes(std::move(axes), rank));
  std::sort(axes.begin(), axes.end());
  if (axes.empty() || axes.front() < 1) return Unsupported("works over the batch");
  if (axes.back() - axes.front() + 1 != static_cast<int64_t>(axes.size())) {
    return Unsupported("works over dimensions that are not neighbours");
  }
  return axes;
}

Status ImportReduction(NodeCall& call, int64_t divisor) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  HAQ_ASSIGN_OR_RETURN(const int64_t keep, call.Int("keepdims", 1));
  HAQ_ASSIGN_OR_RETURN(const int64_t noop, call.Int("noop_with_empty_axes", 0));
  const ir::Shape shape = call.ShapeOf(x);
  const auto rank = static_cast<int64_t>(shape.size());
  HAQ_ASSIGN_OR_RETURN(const std::vector<int64_t> named, call.IntsOrInput("axes", 1));
  if (noop != 0 && named.empty()) return call.Return(x);
  HAQ_ASSIGN_OR_RETURN(const std::vector<int64_t> axes, ReducedAxes(call, rank));
  const int64_t first = axes.front(), last = axes.back();
  ir::Shape output;
  for (int64_t d = 0; d < rank; ++d) {
    const bool reduced = d >= first && d <= last;
    if (!reduced || keep != 0) output.push_back(reduced ? 1 : shape[d]);
  }
  Reduction reduction = ReductionOf(shape, first, last, divisor);
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId input, call.EmitReshape(x, reduction.folded, "folded"));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(std::move(reduction.pool), {input}));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId result, call.EmitReshape(y, output));
  return call.Return(result);
}

Status ImportReduceMean(NodeCall& call) { return ImportReduction(call, 0); }
Status ImportReduceSum(NodeCall& call) { return ImportReduction(call, 1); }

}  // namespace

ImporterTable PoolingImporters() {
  return {{"MaxPool", ImportMaxPool},
          {"AveragePool", ImportAveragePool},
          {"GlobalAveragePool", ImportGlobalAveragePool},
          {"GlobalMaxPool", ImportGlobalMaxPool},
          {"ReduceMean", ImportReduceMean},
          {"ReduceSum", ImportReduceSum}};
}

}  // namespace haq::import::from_onnx
