// Plain structs between the portable drivers and the kernels, as in simd/tile.h: operators on rows
// of bytes.
#pragma once

#include <cstdint>

namespace haq::kernels::simd {

// As fixedpoint::AddRequantize; `multipliers` holds multiplier_a in its lower half, multiplier_b in
// its upper.
struct AddCall {
  int64_t count;
  int32_t multipliers, constant, shift;
  uint8_t q_min, q_max;
  const uint8_t *a, *b;
  uint8_t* out;
};

struct QuantizeCall {
  int64_t count;
  float scale;
  int32_t zero_point;
  const float* real;
  uint8_t* levels;
};

// Adds to `low` and `high` how many levels are 0 and 255.
struct EndsCall {
  int64_t count;
  const uint8_t* levels;
  int64_t low, high;
};

// The largest of `taps` pixels, channel by channel.
struct MaxCall {
  int64_t channels, taps;
  const uint8_t* const* tap;
  uint8_t* out;
};

// sums[c] += the levels of `count` pixels that are `stride` bytes apart.
struct SumCall {
  int64_t channels, count, stride;
  const uint8_t* in;
  int32_t* sums;
};

// Levels of sums that share shift and multiplier.
struct StoreCall {
  int64_t count;
  int32_t shift;  // of either sign
  int16_t multiplier, round_multiplier, output_offset;
  uint8_t q_min, q_max;
  const int32_t* sums;  // with the bias
  uint8_t* out;
};

}  // namespace haq::kernels::simd
