// What the wide operators ask of an instruction set. Plain structs, as in simd/tile.h.
#pragma once

#include <cstdint>

namespace haq::fixedpoint {
struct WideChannel;
}

namespace haq::kernels::wide {

// The requantization of one pixel's neighbouring channels, (19) to (22) of
// docs/integer_arithmetic.md. Sums are low + 256 high.
struct Row {
  const int32_t *low, *high;  // high: nullptr for 8-bit inputs
  int64_t count;
  const fixedpoint::WideChannel* channels;
  int32_t zero_point, q_min;
  const uint8_t* residual;  // nullptr: none
  bool residual_is_wide;
  int64_t residual_multiplier;
  int32_t residual_zero;
  uint8_t* out;
  bool out_is_wide;
};

inline constexpr int kDotRows = 4, kDotOutputs = 16;

// sums[r * kDotOutputs + o] = the dot product of input row r and weight row o, for up to kDotRows
// and kDotOutputs of them.
struct Dots {
  const uint8_t* in;
  const int8_t* weight;
  int64_t depth, rows, outputs;
  int32_t* sums;  // aligned to 64
};

}  // namespace haq::kernels::wide
