// Pooling and means.
#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "core/import/torchscript/operators.h"

namespace haq::import {

namespace {

struct Pool {
  std::array<int64_t, 2> kernel, stride, padding, dilation{1, 1};
};

Result<Pool> PoolOf(const OpCall& call) {
  Pool pool;
  HAQ_ASSIGN_OR_RETURN(pool.kernel, call.Pair("kernel_size"));
  const c10::IValue& stride = call.Arg("stride");
  pool.stride = pool.kernel;
  if (stride.isInt() || (stride.isIntList() && !stride.toIntVector().empty())) {
    HAQ_ASSIGN_OR_RETURN(pool.stride, call.Pair("stride"));
  }
  HAQ_ASSIGN_OR_RETURN(pool.padding, call.Pair("padding"));
  if (call.Has("dilation")) {
    HAQ_ASSIGN_OR_RETURN(pool.dilation, call.Pair("dilation"));
  }
  return pool;
}

Status CheckImage(const ir::Shape& shape) {
  if (shape.size() == 4) return {};
  return Unsupported("pools {}, which is not [N, C, H, W]", ir::ShapeToString(shape));
}

Status ImportMaxPool(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("self"));
  const ir::Shape shape = call.ShapeOfValue(x);
  HAQ_RETURN_IF_ERROR(CheckImage(shape));
  HAQ_ASSIGN_OR_RETURN(const Pool pool, PoolOf(call));
  const ir::Shape output = call.OutputShape();
  // What the last window reads beyond the input: the padding, less where windows end earlier, more
  // where ceil_mode lets them end later.
  const auto after = [&](int i) {
    const int64_t end = (output[i + 2] - 1) * pool.stride[i] +
                        pool.dilation[i] * (pool.kernel[i] - 1) + 1 - pool.padding[i];
    return std::max<int64_t>(0, end - shape[i + 2]);
  };
  ir::MaxPool2d op{pool.kernel,
                   pool.stride,
                   pool.dilation,
                   {pool.padding[0], pool.padding[1], after(0), after(1)}};
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(std::move(op), {x}));
  HAQ_RETURN_IF_ERROR(call.Return(y));
  // The indices of max_pool2d_with_indices exist for the graph only when something reads them.
  return {};
}

// Where average windows begin and end along one dimension, cut to the input.
struct Windows {
  std::vector<int64_t> begin, end;
  bool cut = false;       // a window reaches into the padding
  bool overhang = false;  // ceil_mode lets a window reach beyond the padding
};

Windows PoolWindows(const Pool& pool, int i, int64_t size, int64_t outputs) {
  Windows windows;
  for (int64_t o = 0; o < outputs; ++o) {
    const int64_t begin = o * pool.stride[i] - pool.padding[i], end = begin + pool.kernel[i];
    windows.begin.push_back(std::max<int64_t>(begin, 0));
    windows.end.push_back(std::min(end, size));
    windows.cut = windows.cut || begin < 0 || end > size;
    windows.overhang = windows.overhang || end > size + pool.padding[i];
  }
  return windows;
}

Result<ir::ValueId> EmitAverage(OpCall& call, ir::ValueId x, const Windows& rows,
                                const Windows& columns, int64_t divisor) {
  return call.Emit(ir::AvgPool2d{rows.begin, rows.end, columns.begin, columns.end, divisor}, {x});
}

// ceil_mode with count_include_pad divides by what of a window lies inside the padded input, which
// differs from window to window: the padding has to be there for real.
Result<ir::ValueId> EmitAverageOfPadded(OpCall& call, ir::ValueId x, Pool pool) {
  const ir::Shape shape = call.ShapeOfValue(x), output = call.OutputShape();
  const ir::Pad pad{
      {0, 0, pool.padding[0], pool.padding[1]}, {0, 0, pool.padding[0], pool.padding[1]}, 0};
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId padded, call.Emit(pad, {x}, {}, "pad"));
  const int64_t height = shape[2] + 2 * pool.padding[0], width = shape[3] + 2 * pool.padding[1];
  pool.padding = {0, 0};
  return EmitAverage(call, padded, PoolWindows(pool, 0, height, output[2]),
                     PoolWindows(pool, 1, width, output[3]), 0);
}

Status ImportAvgPool(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("self"));
  const ir::Shape shape = call.ShapeOfValue(x), output = call.OutputShape();
  HAQ_RETURN_IF_ERROR(CheckImage(shape));
  HAQ_ASSIGN_OR_RETURN(const Pool pool, PoolOf(call));
  const Windows rows = PoolWindows(pool, 0, shape[2], output[2]);
  const Windows columns = PoolWindows(pool, 1, shape[3], output[3]);
  const bool include_pad = call.Bool("count_include_pad", true);
  if (call.Has("divisor_override")) {
    HAQ_ASSIGN_OR_RETURN(const ir::ValueId y,
                         EmitAverage(call, x, rows, columns, call.Int("divisor_override")));
    return call.Return(y);
  }
  if (include_pad && (rows.overhang || columns.overhang) &&
      pool.padding != std::array<int64_t, 2>{}) {
    HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, EmitAverageOfPadded(call, x, pool));
    return call.Return(y);
  }
  const bool counts_padding =
      include_pad && (rows.cut || columns.cut) && !rows.overhang && !columns.overhang;
  HAQ_ASSIGN_OR_RETURN(
      const ir::ValueId y,
      EmitAverage(call, x, rows, columns, counts_padding ? pool.kernel[0] * pool.kernel[1] : 0));
  return call.Return(y);
}

Windows AdaptiveWindows(int64_t size, int64_t outputs) {
  Windows windows;
  for (int64_t o = 0; o < outputs; ++o) {
    windows.begin.push_back(o * size / outputs);
    windows.end.push_back(((o + 1) * size + outputs - 1) / outputs);
  }
  return windows;
}

Status ImportAdaptiveAvgPool(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("self"));
  const ir::Shape shape = call.ShapeOfValue(x), output = call.OutputShape();
  HAQ_RETURN_IF_ERROR(CheckImage(shape));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y,
                       EmitAverage(call, x, AdaptiveWindows(shape[2], output[2]),
                                   AdaptiveWindows(shape[3], output[3]), 0));
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

int64_t Product(const ir::Shape& shape, int64_t begin, int64_t end) {
  return std::accumulate(shape.begin() + begin, shape.begin() + end, int64_t{1},
                         std::multiplies<>());
}

// Mean or sum over neighbouring dimensions first..last: [1, before, reduced, after], of which the
// rows are reduced; over H and W it is a global pool of the image as it stands.
Status ReduceDimensions(OpCall& call, ir::ValueId x, int64_t first, int64_t last, int64_t divisor) {
  const ir::Shape shape = call.ShapeOfValue(x);
  const auto rank = static_cast<int64_t>(shape.size());
  const bool image = rank == 4 && first >= 2;
  ir::Shape folded = shape;
  if (!image) {
    folded = {1, Product(shape, 1, first), Product(shape, first, last + 1),
              Product(shape, last + 1, rank)};
  }
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId input, call.EmitReshape(x, folded, "folded"));
  const bool rows = !image || first == 2, columns = image && last == 3;
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y,
                       EmitAverage(call, input, AdaptiveWindows(folded[2], rows ? 1 : folded[2]),
                                   AdaptiveWindows(folded[3], columns ? 1 : folded[3]), divisor));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId result, call.EmitReshape(y, call.OutputShape()));
  return call.Return(result);
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
  return ReduceDimensions(call, x, axes.front(), axes.back(), divisor);
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
