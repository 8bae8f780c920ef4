// What the wide operators share: levels as byte planes, and the requantization of rows. For the
// sources of this folder.
#pragma once

#include "core/kernels/wide.h"

namespace haq::kernels::wide {

// 16-bit levels are two planes of bytes, low and high, which are multiplied like 8-bit levels.
inline int64_t PlanesOf(const In& in) { return in.is_wide ? 2 : 1; }

// `count` levels from `first` on as int16: the low bytes, and `plane` elements further the high
// ones where there are any.
inline void SplitLevels(const In& in, int64_t first, int64_t count, int64_t plane,
                        int16_t* __restrict to) {
  if (!in.is_wide) {
    const uint8_t* __restrict from = in.bytes + first;
    for (int64_t i = 0; i < count; ++i) to[i] = from[i];
    return;
  }
  const uint16_t* __restrict from = in.words() + first;
  int16_t* __restrict high = to + plane;
  for (int64_t i = 0; i < count; ++i) {
    to[i] = static_cast<int16_t>(from[i] & 255);
    high[i] = static_cast<int16_t>(from[i] >> 8);
  }
}

// The same for `count` copies of one level.
inline void SplitLevel(const In& in, int32_t level, int64_t count, int64_t plane, int16_t* to) {
  std::fill(to, to + count, static_cast<int16_t>(level & 255));
  if (in.is_wide) std::fill(to + plane, to + plane + count, static_cast<int16_t>(level >> 8));
}

// `count` neighbouring channels of one pixel, the first of them element `at` of the output. Sums
// are low + 256 high; `high` is nullptr for 8-bit inputs.
inline void RequantizeRow(const int32_t* low, const int32_t* high, int64_t count,
                          const WideChannel* channels, const WideOutput& output,
                          const Residual& residual, int64_t at, const Out& out) {
  for (int64_t i = 0; i < count; ++i) {
    const int64_t acc = high == nullptr ? low[i] : low[i] + int64_t{high[i]} * 256;
    int64_t t = fixedpoint::WideTerm(acc, channels[i]);
    if (residual.levels.bytes != nullptr) {
      t += fixedpoint::WideResidualTerm(residual.levels.at(at + i), residual.requantize);
    }
    out.Set(at + i, fixedpoint::WideLevel(t, channels[i].q_max, output));
  }
}

}  // namespace haq::kernels::wide
