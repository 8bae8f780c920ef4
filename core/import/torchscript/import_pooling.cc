// Pooling and means.
#include <ATen/ATen.h>

#include <algorithm>

#include "core/import/images/pooling.h"
#include "core/import/torchscript/operators.h"

namespace haq::import {

namespace {

Result<Windows> WindowsOf(const OpCall& call) {
  Windows windows;
  HAQ_ASSIGN_OR_RETURN(windows.kernel, call.Pair("kernel_size"));
  const c10::IValue& stride = call.Arg("stride");
  windows.stride = windows.kernel;
  if (stride.isInt() || (stride.isIntList() && !stride.toIntVector().empty())) {
    HAQ_ASSIGN_OR_RETURN(windows.stride, call.Pair("stride"));
  }
  HAQ_ASSIGN_OR_RETURN(windows.before, call.Pair("padding"));
  windows.after = windows.before;
  if (call.Has("dilation")) {
    HAQ_ASSIGN_OR_RETURN(windows.dilation, call.Pair("dilation"));
  }
  const ir::Shape output = call.OutputShape();
  windows.outputs = {output[2], output[3]};
  return windows;
}

Status CheckImage(const ir::Shape& shape) {
  if (shape.size() == 4) return {};
  return Unsupported("pools {}, which is not [N, C, H, W]", ir::ShapeToString(shape));
}

Status ImportMaxPool(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("self"));
  const ir::Shape shape = call.ShapeOfValue(x);
  HAQ_RETURN_IF_ERROR(CheckImage(shape));
  HAQ_ASSIGN_OR_RETURN(const Windows windows, WindowsOf(call));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(MaxPoolOf(windows, shape), {x}));
  HAQ_RETURN_IF_ERROR(call.Return(y));
  // The indices of max_pool2d_with_indices exist for the graph only when something reads them.
  return {};
}

Status ImportAvgPool(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("self"));
  const ir::Shape shape = call.ShapeOfValue(x);
  HAQ_RETURN_IF_ERROR(CheckImage(shape));
  HAQ_ASSIGN_OR_RETURN(const Windows windows, WindowsOf(call));
  AveragePool average = AveragePoolOf(windows, shape, call.Bool("count_include_pad", true));
  if (call.Has("divisor_override")) {
    average = {std::nullopt, AverageOf(SpansOf(windows, 0, shape[2]), SpansOf(windows, 1, shape[3]),
                                       call.Int("divisor_override"))};
  }
  ir::ValueId input = x;
  if (average.pad) {
    HAQ_ASSIGN_OR_RETURN(input, call.Emit(*average.pad, {x}, {}, "pad"));
  }
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(std::move(average.pool), {input}));
  return call.Return(y);
}

Status ImportAdaptiveAvgPool(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("self"));
  const ir::Shape shape = call.ShapeOfValue(x), output = call.OutputShape();
  HAQ_RETURN_IF_ERROR(CheckImage(shape));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y,
                       call.Emit(AverageOf(AdaptiveSpans(shape[2], output[2]),
                                           AdaptiveSpans(shape[3], output[3]), 0),
                                 {x}));
  return call.Return(y);
}

Status ImportAdaptiveMaxPool(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("self"));
  const ir::Shape shape = call.ShapeOfValue(x), output = call.OutputShape();
  HAQ_RETURN_IF_ERROR(CheckImage(shape));
  if (shape[2] % output[2] != 0 || shape[3] % output[3] != 0) {
    return Unsupported("makes {} of {}: sizes have to divide", ir::ShapeToString(output),
                       ir::ShapeToString(shape));
  }
  const std::array<int64_t, 2> kernel{shape[2] / output[2], shape[3] / output[3]};
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y,
                       call.Emit(ir::MaxPool2d{kernel, kernel, {1, 1}, {}}, {x}));
  return call.Return(y);
}

Status ImportReduction(OpCall& call, int64_t divisor) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("self"));
  const auto rank = static_cast<int64_t>(call.ShapeOfValue(x).size());
  HAQ_ASSIGN_OR_RETURN(std::vector<int64_t> axes, call.Axes("dim", rank));
  std::sort(axes.begin(), axes.end());
  if (axes.front() < 1) return Unsupported("works over the batch");
  if (axes.back() - axes.front() + 1 != static_cast<int64_t>(axes.size())) {
    return Unsupported("works over dimensions that are not neighbours");
  }
  Reduction reduction = ReductionOf(call.ShapeOfValue(x), axes.front(), axes.back(), divisor);
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId input, call.EmitReshape(x, reduction.folded, "folded"));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(std::move(reduction.pool), {input}));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId result, call.EmitReshape(y, call.OutputShape()));
  return call.Return(result);
}

Status ImportMean(OpCall& call) { return ImportReduction(call, 0); }
Status ImportSum(OpCall& call) { return ImportReduction(call, 1); }

}  // namespace

ImporterTable PoolingImporters() {
  return {{"max_pool2d", ImportMaxPool},
          {"max_pool2d_with_indices", ImportMaxPool},
          {"avg_pool2d", ImportAvgPool},
          {"adaptive_avg_pool2d", ImportAdaptiveAvgPool},
          {"_adaptive_avg_pool2d", ImportAdaptiveAvgPool},
          {"adaptive_max_pool2d", ImportAdaptiveMaxPool},
          {"mean", ImportMean},
          {"sum", ImportSum}};
}

}  // namespace haq::import
