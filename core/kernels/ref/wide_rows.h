// What the wide operators share: levels as byte planes, and the requantization of rows. For the
// sources of this folder.
#pragma once

#include <cstring>

#include "core/kernels/wide.h"

namespace haq::kernels::wide {

// 16-bit levels are two planes of bytes, low and high, which are multiplied like 8-bit levels.
inline int64_t PlanesOf(const In& in) { return in.is_wide ? 2 : 1; }

// The bytes of `count` levels from `first` on: the low ones, and `plane` further the high ones
// where there are any.
inline void SplitLevels(const In& in, int64_t first, int64_t count, int64_t plane,
                        uint8_t* __restrict to) {
  if (!in.is_wide) {
    std::memcpy(to, in.bytes + first, static_cast<size_t>(count));
    return;
  }
  const uint16_t* __restrict from = in.words() + first;
  uint8_t* __restrict high = to + plane;
  for (int64_t i = 0; i < count; ++i) {
    to[i] = static_cast<uint8_t>(from[i] & 255);
    high[i] = static_cast<uint8_t>(from[i] >> 8);
  }
}

// The same for `count` copies of one level.
inline void SplitLevel(const In& in, int32_t level, int64_t count, int64_t plane, uint8_t* to) {
  std::memset(to, level & 255, static_cast<size_t>(count));
  if (in.is_wide) std::memset(to + plane, level >> 8, static_cast<size_t>(count));
}

// `count` neighbouring channels of one pixel, the first of them element `at` of the output. Sums
// are low + 256 high; `high` is nullptr for 8-bit inputs.
inline void RequantizeRow(const KernelTable& kernels, const int32_t* low, const int32_t* high,
                          int64_t count, const WideChannel* channels, const WideOutput& output,
                          const Residual& residual, int64_t at, const Out& out) {
  const In& levels = residual.levels;
  kernels.wide_row(
      {low, high, count, channels, output.zero_point, output.q_min,
       levels.bytes == nullptr ? nullptr : levels.bytes + at * (levels.is_wide ? 2 : 1),
       levels.is_wide, residual.requantize.multiplier, residual.requantize.zero_point,
       out.bytes + at * (out.is_wide ? 2 : 1), out.is_wide});
}

}  // namespace haq::kernels::wide
