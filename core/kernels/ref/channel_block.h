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

// Steps 3 to 5 of docs/integer_arithmetic.md on sixteen values.
inline void RequantizeShifted(const int16_t* __restrict v, const int16_t* __restrict multiplier,
                              const TensorRequantize& tensor, uint8_t* __restrict out) {
  const int32_t bits = tensor.fraction_bits, half = 1 << (bits - 1), offset = tensor.output_offset;
  const int32_t low = tensor.q_min, high = tensor.q_max;
  for (int32_t i = 0; i < kLanes; ++i) {
    const int32_t t = (v[i] * multiplier[i] + (1 << 14)) >> 15;
    int32_t q = ((t + half) >> bits) + offset;
    q = q < low ? low : q;
    q = q > high ? high : q;
    out[i] = static_cast<uint8_t>(q);
  }
}

// Sixteen accumulators, biases included, to sixteen levels.
inline void RequantizeBlock(const int32_t* __restrict acc, const ChannelBlock& block,
                            const TensorRequantize& tensor, uint8_t* __restrict out) {
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
  int16_t v[kLanes];
  for (int32_t i = 0; i < kLanes; ++i) {
    int32_t y = x[i] < -32768 ? -32768 : x[i];
    y = y > 32767 ? 32767 : y;
    v[i] = static_cast<int16_t>(y);
  }
  RequantizeShifted(v, block.multiplier, tensor, out);
}

// The same for the first `count` lanes.
inline void RequantizeLanes(const int32_t* acc, int64_t count, const ChannelBlock& block,
                            const TensorRequantize& tensor, uint8_t* out) {
  if (count >= kLanes) return RequantizeBlock(acc, block, tensor, out);
  uint8_t levels[kLanes];
  RequantizeBlock(acc, block, tensor, levels);
  std::memcpy(out, levels, static_cast<size_t>(count));
}

inline void Widen(const uint8_t* __restrict from, int64_t count, int16_t* __restrict to) {
  for (int64_t i = 0; i < count; ++i) to[i] = from[i];
}

}  // namespace haq::kernels::ref
