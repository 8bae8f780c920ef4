// Requantization of sixteen neighbouring channels in a form that vectorizes without per-lane
// shifts. For the sources of this folder.
#pragma once

#include <algorithm>
#include <cstring>

#include "core/kernels/kernels.h"

namespace haq::kernels::ref {

inline constexpr int32_t kLanes = 16;

constexpr size_t AlignUp64(size_t bytes) { return (bytes + 63) & ~size_t{63}; }
constexpr int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct alignas(64) ChannelBlock {
  int32_t bias[kLanes];
  // acc >> shift for shift in [1, 31], with u = acc + 2^31 as unsigned:
  //   floor(acc / 2^shift) = floor(u * 2^(32 - shift) / 2^32) - 2^(31 - shift)
  // exactly, for 2^31 is a multiple of 2^shift.
  uint32_t high[kLanes];   // 2^(32 - shift), 0 for shift < 1
  int32_t offset[kLanes];  // 2^(31 - shift), 0 for shift < 1
  int32_t left[kLanes];    // 2^-shift for shift < 1, 0 otherwise: the two forms add up
  int16_t multiplier[kLanes];
  int16_t q_max[kLanes];
  bool all_right;  // every shift is at least 1
};

// `count` channels from `channels` on; lanes beyond have bias 0 and any result.
inline ChannelBlock MakeChannelBlock(const ChannelRequantize* channels, int64_t count) {
  ChannelBlock block{};
  block.all_right = true;
  for (int64_t i = 0; i < kLanes; ++i) {
    const ChannelRequantize r = i < count ? channels[i] : ChannelRequantize{0, 1 << 14, 1};
    block.bias[i] = r.bias;
    block.multiplier[i] = r.multiplier;
    block.q_max[i] = r.q_max;
    if (r.shift >= 1) {
      block.high[i] = uint32_t{1} << (32 - r.shift);
      block.offset[i] = int32_t{1} << (31 - r.shift);
    } else {
      block.left[i] = int32_t{1} << -r.shift;
      block.all_right = false;
    }
  }
  return block;
}

// Steps (7) to (9) of docs/integer_arithmetic.md on sixteen values: t, and its last rounding.
inline void ScaleLanes(const int16_t* __restrict v, const int16_t* __restrict multiplier,
                       int16_t* __restrict t) {
  for (int32_t i = 0; i < kLanes; ++i) {
    t[i] = static_cast<int16_t>((v[i] * multiplier[i] + (1 << 14)) >> 15);
  }
}
inline void RoundLanes(const int16_t* __restrict t, const int16_t* __restrict q_max,
                       const TensorRequantize& tensor, uint8_t* __restrict out) {
  const int32_t bits = tensor.fraction_bits, half = 1 << (bits - 1), offset = tensor.output_offset;
  const int32_t low = tensor.q_min;
  for (int32_t i = 0; i < kLanes; ++i) {
    int32_t q = ((t[i] + half) >> bits) + offset;
    q = q < low ? low : q;
    q = q > q_max[i] ? q_max[i] : q;
    out[i] = static_cast<uint8_t>(q);
  }
}

// Adds sixteen levels of the residual to t.
inline void AddResidualLanes(const uint8_t* __restrict levels, const ResidualRequantize& residual,
                             int16_t* __restrict t) {
  const int32_t zero = residual.zero_point, multiplier = residual.multiplier;
  for (int32_t i = 0; i < kLanes; ++i) {
    int32_t sum = t[i] + ((((levels[i] - zero) * (1 << 7)) * multiplier + (1 << 14)) >> 15);
    sum = sum < -32768 ? -32768 : sum;
    sum = sum > 32767 ? 32767 : sum;
    t[i] = static_cast<int16_t>(sum);
  }
}

// Sixteen accumulators, biases included, to v of step (6).
inline void ShiftLanes(const int32_t* __restrict acc, const ChannelBlock& block,
                       int16_t* __restrict v) {
  int32_t x[kLanes];
  for (int32_t i = 0; i < kLanes; ++i) {
    const uint32_t u = static_cast<uint32_t>(acc[i]) + 0x80000000u;
    x[i] = static_cast<int32_t>((uint64_t{u} * block.high[i]) >> 32) - block.offset[i];
  }
  if (!block.all_right) {
    for (int32_t i = 0; i < kLanes; ++i) {
      int32_t y = acc[i] < -32768 ? -32768 : acc[i];
      y = y > 32768 ? 32768 : y;
      x[i] += y * block.left[i];  // at most 2^30
    }
  }
  for (int32_t i = 0; i < kLanes; ++i) {
    int32_t y = x[i] < -32768 ? -32768 : x[i];
    y = y > 32767 ? 32767 : y;
    v[i] = static_cast<int16_t>(y);
  }
}

// Sixteen accumulators, biases included, to sixteen levels; with the residual's sixteen levels, or
// nullptr.
inline void RequantizeBlock(const int32_t* __restrict acc, const ChannelBlock& block,
                            const TensorRequantize& tensor, const uint8_t* residual,
                            const ResidualRequantize& scale, uint8_t* __restrict out) {
  int16_t v[kLanes], t[kLanes];
  ShiftLanes(acc, block, v);
  ScaleLanes(v, block.multiplier, t);
  if (residual != nullptr) AddResidualLanes(residual, scale, t);
  RoundLanes(t, block.q_max, tensor, out);
}

// The same for the first `count` lanes. `residual.levels` points at the first one's.
inline void RequantizeLanes(const int32_t* acc, int64_t count, const ChannelBlock& block,
                            const TensorRequantize& tensor, const Residual& residual,
                            uint8_t* out) {
  if (count >= kLanes) {
    return RequantizeBlock(acc, block, tensor, residual.levels, residual.requantize, out);
  }
  uint8_t levels[kLanes], padded[kLanes] = {};
  const uint8_t* second = nullptr;
  if (residual.levels != nullptr) {
    std::memcpy(padded, residual.levels, static_cast<size_t>(count));
    second = padded;
  }
  RequantizeBlock(acc, block, tensor, second, residual.requantize, levels);
  std::memcpy(out, levels, static_cast<size_t>(count));
}

// The residual of the output that starts `offset` elements further.
inline Residual At(const Residual& residual, int64_t offset) {
  return {residual.levels == nullptr ? nullptr : residual.levels + offset, residual.requantize};
}

inline void Widen(const uint8_t* __restrict from, int64_t count, int16_t* __restrict to) {
  for (int64_t i = 0; i < count; ++i) to[i] = from[i];
}

}  // namespace haq::kernels::ref
