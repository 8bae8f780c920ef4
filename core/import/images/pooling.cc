#include "core/import/images/pooling.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace haq::import {

ir::MaxPool2d MaxPoolOf(const Windows& windows, const ir::Shape& shape) {
  // What the last window reads beyond the input: the padding, less where windows end earlier, more
  // where ceil_mode lets them end later.
  const auto after = [&](int i) {
    const int64_t end = (windows.outputs[i] - 1) * windows.stride[i] +
                        windows.dilation[i] * (windows.kernel[i] - 1) + 1 - windows.before[i];
    return std::max<int64_t>(0, end - shape[i + 2]);
  };
  return {windows.kernel,
          windows.stride,
          windows.dilation,
          {windows.before[0], windows.before[1], after(0), after(1)}};
}

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

Spans AdaptiveSpans(int64_t size, int64_t outputs) {
  Spans spans;
  for (int64_t o = 0; o < outputs; ++o) {
    spans.begin.push_back(o * size / outputs);
    spans.end.push_back(((o + 1) * size + outputs - 1) / outputs);
  }
  return spans;
}

ir::AvgPool2d AverageOf(const Spans& rows, const Spans& columns, int64_t divisor) {
  return {rows.begin, rows.end, columns.begin, columns.end, divisor};
}

namespace {

// ceil_mode with include_pad divides by what of a window lies inside the padded input, which
// differs from window to window: the padding has to be there for real.
AveragePool AverageOfPadded(Windows windows, const ir::Shape& shape) {
  AveragePool result;
  result.pad = ir::Pad{
      {0, 0, windows.before[0], windows.before[1]}, {0, 0, windows.after[0], windows.after[1]}, 0};
  const int64_t height = shape[2] + windows.before[0] + windows.after[0];
  const int64_t width = shape[3] + windows.before[1] + windows.after[1];
  windows.before = windows.after = {0, 0};
  result.pool = AverageOf(SpansOf(windows, 0, height), SpansOf(windows, 1, width), 0);
  return result;
}

int64_t Product(const ir::Shape& shape, int64_t begin, int64_t end) {
  return std::accumulate(shape.begin() + begin, shape.begin() + end, int64_t{1},
                         std::multiplies<>());
}

}  // namespace

AveragePool AveragePoolOf(const Windows& windows, const ir::Shape& shape, bool include_pad) {
  const Spans rows = SpansOf(windows, 0, shape[2]), columns = SpansOf(windows, 1, shape[3]);
  const std::array<int64_t, 2> none{};
  include_pad = include_pad && (windows.before != none || windows.after != none);
  if (include_pad && (rows.overhang || columns.overhang)) return AverageOfPadded(windows, shape);
  const bool counts_padding = include_pad && (rows.cut || columns.cut);
  return {std::nullopt,
          AverageOf(rows, columns, counts_padding ? windows.kernel[0] * windows.kernel[1] : 0)};
}

// Over H and W it is a global pool of the image as it stands; else of [1, before, reduced, after],
// whose rows are reduced.
Reduction ReductionOf(const ir::Shape& shape, int64_t first, int64_t last, int64_t divisor) {
  const auto rank = static_cast<int64_t>(shape.size());
  const bool image = rank == 4 && first >= 2;
  Reduction reduction{shape, {}};
  if (!image) {
    reduction.folded = {1, Product(shape, 1, first), Product(shape, first, last + 1),
                        Product(shape, last + 1, rank)};
  }
  const int64_t height = reduction.folded[2], width = reduction.folded[3];
  const bool rows = !image || first == 2, columns = image && last == 3;
  reduction.pool = AverageOf(AdaptiveSpans(height, rows ? 1 : height),
                             AdaptiveSpans(width, columns ? 1 : width), divisor);
  return reduction;
}

}  // namespace haq::import
