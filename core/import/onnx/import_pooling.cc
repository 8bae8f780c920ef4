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
  // What the last window reads beyond the input: the padding, less where windows end earlier, more
  // where ceil_mode lets them end later.
  const auto after = [&](int i) {
    const int64_t end = (windows.outputs[i] - 1) * windows.stride[i] +
                        windows.dilation[i] * (windows.kernel[i] - 1) + 1 - windows.before[i];
    return std::max<int64_t>(0, end - shape[i + 2]);
  };
  ir::MaxPool2d op{windows.kernel,
                   windows.stride,
                   windows.dilation,
                   {windows.before[0], windows.before[1], after(0), after(1)}};
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(std::move(op), {x}));
  return call.Return(y);
}

// Where averages begin and end along one dimension, cut to the input.
struct Spans {
  std::vector<int64_t> begin, end;
  bool cut = false;       // one reaches into the padding
  bool overhang = false;  // ceil_mode lets one reach beyond the padding
};

Spans SpansOf(const Windows& windows, int i, int64_t size) {
  Spans spans;
  for (int64_t o = 0; o < windows.outputs[i]; ++o) {
    const int64_t begin = o * windows.stride[i] - windows.before[i];
    const int64_t end = begin + windows.kernel[i];
    spans.begin.push_back(std::max<int64_t>(begin, 0));
    spans.end.push_back(std::min(end, size));
    spans.cut = spans.cut || begin < 0 || end > size;
    spans.overhang = spans.overhang || end > size + windows.after[i];
  }
  return spans;
}

Spans WholeOrEach(int64_t size, bool whole) {
  Spans spans;
  for (int64_t i = 0; i < (whole ? 1 : size); ++i) {
    spans.begin.push_back(whole ? 0 : i);
    spans.end.push_back(whole ? size : i + 1);
  }
  return spans;
}

Result<ir::ValueId> EmitAverage(NodeCall& call, ir::ValueId x, const Spans& rows,
                                const Spans& columns, int64_t divisor) {
  return call.Emit(ir::AvgPool2d{rows.begin, rows.end, columns.begin, columns.end, divisor}, {x});
}

// ceil_mode with count_include_pad divides by what of a window lies inside the padded input, which
// differs from window to window: the padding has to be there for real.
Result<ir::ValueId> EmitAverageOfPadded(NodeCall& call, ir::ValueId x, Windows windows) {
  const ir::Shape shape = call.ShapeOf(x);
  const ir::Pad pad{
      {0, 0, windows.before[0], windows.before[1]}, {0, 0, windows.after[0], windows.after[1]}, 0};
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId padded, call.Emit(pad, {x}, {}, "pad"));
  const int64_t height = shape[2] + windows.before[0] + windows.after[0];
  const int64_t width = shape[3] + windows.before[1] + windows.after[1];
  windows.before = windows.after = {0, 0};
  return EmitAverage(call, padded, SpansOf(windows, 0, height), SpansOf(windows, 1, width), 0);
}

Status ImportAveragePool(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  const ir::Shape shape = call.ShapeOf(x);
  HAQ_ASSIGN_OR_RETURN(const Windows windows, ReadWindows(call, shape, {}));
  if (windows.dilation != std::array<int64_t, 2>{1, 1}) return Unsupported("has dilations");
  HAQ_ASSIGN_OR_RETURN(const int64_t include_pad, call.Int("count_include_pad", 0));
  HAQ_RETURN_IF_ERROR(
      CountOf({1, shape[1], windows.outputs[0], windows.outputs[1]}, int64_t{1} << 40).status());
  const Spans rows = SpansOf(windows, 0, shape[2]), columns = SpansOf(windows, 1, shape[3]);
  const bool pads =
      windows.before != std::array<int64_t, 2>{} || windows.after != std::array<int64_t, 2>{};
  if (include_pad != 0 && pads && (rows.overhang || columns.overhang)) {
    HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, EmitAverageOfPadded(call, x, windows));
    return call.Return(y);
  }
  const bool counts_padding = include_pad != 0 && pads && (rows.cut || columns.cut);
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y,
                       EmitAverage(call, x, rows, columns,
                                   counts_padding ? windows.kernel[0] * windows.kernel[1] : 0));
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
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, EmitAverage(call, x, WholeOrEach(shape[2], true),
                                                        WholeOrEach(shape[3], true), 0));
  return call.Return(y);
}

Status ImportGlobalMaxPool(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, Image(call));
  const std::array<int64_t, 2> kernel{call.ShapeOf(x)[2], call.ShapeOf(x)[3]};
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y,
                       call.Emit(ir::MaxPool2d{kernel, {1, 1}, {1, 1}, {}}, {x}));
  return call.Return(y);
}

int64_t Product(const ir::Shape& shape, int64_t begin, int64_t end) {
  return std::accumulate(shape.begin() + begin, shape.begin() + end, int64_t{1},
                         std::multiplies<>());
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

// Over H and W it is a global pool of the image as it stands; else of [1, before, reduced, after],
// whose rows are reduced.
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
  const bool image = rank == 4 && first >= 2;
  ir::Shape folded = shape;
  if (!image) {
    folded = {1, Product(shape, 1, first), Product(shape, first, last + 1),
              Product(shape, last + 1, rank)};
  }
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId input, call.EmitReshape(x, folded, "folded"));
  const bool rows = !image || first == 2, columns = image && last == 3;
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, EmitAverage(call, input, WholeOrEach(folded[2], rows),
                                                        WholeOrEach(folded[3], columns), divisor));
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
