// Pooling of images as the graph has it, from windows as frameworks describe them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/ir/graph.h"

namespace haq::import {

// Sliding windows over the rows and columns of [N, C, H, W].
struct Windows {
  std::array<int64_t, 2> kernel, stride, dilation{1, 1}, before{}, after{};  // padding
  std::array<int64_t, 2> outputs{};  // how many windows there are
  bool ceil_mode = false;
};

// `shape` is that of the input.
ir::MaxPool2d MaxPoolOf(const Windows& windows, const ir::Shape& shape);

// Where averages begin and end along one dimension, cut to the input.
struct Spans {
  std::vector<int64_t> begin, end;
  bool cut = false;       // one reaches into the padding
  bool overhang = false;  // ceil_mode lets one reach beyond the padding
};

// Of dimension i (0 rows, 1 columns) that has `size` places.
Spans SpansOf(const Windows& windows, int i, int64_t size);
// As equal as they get.
Spans AdaptiveSpans(int64_t size, int64_t outputs);
ir::AvgPool2d AverageOf(const Spans& rows, const Spans& columns, int64_t divisor);

// What an average pool becomes.
struct AveragePool {
  std::optional<ir::Pad> pad;  // first, where it has to be there for real
  ir::AvgPool2d pool;
};
// `include_pad`: the padding counts as zeros.
AveragePool AveragePoolOf(const Windows& windows, const ir::Shape& shape, bool include_pad);

// A mean (divisor 0) or sum (1) over the neighbouring dimensions first..last, 1 or more, of
// `shape`: a pool of the same elements as [1, C, H, W].
struct Reduction {
  ir::Shape folded;
  ir::AvgPool2d pool;
};
Reduction ReductionOf(const ir::Shape& shape, int64_t first, int64_t last, int64_t divisor);

}  // namespace haq::import
