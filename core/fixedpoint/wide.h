// The arithmetic of layers that read or make 16-bit activations: the same idea as
// core/fixedpoint/requantize.h with 64-bit products, for the few tensors that are kept wide.
// docs/integer_arithmetic.md proves its ranges and bounds its error.
//
//   v = saturate32((acc + bias) >> pre_shift)           acc: an exact sum of products, 64 bits
//   t = (v * multiplier + 2^(shift - 1)) >> shift       in units of 2^-12 of the output's step
//   r = ((b - z_b) * residual_multiplier + 2^15) >> 16  the residual, if any, in the same units
//   q = clamp(((t + r + 2^11) >> 12) + z_y, q_min, q_max)
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/base/status.h"
#include "core/fixedpoint/requantize.h"

namespace haq::fixedpoint {

inline constexpr int kWideFractionBits = 12;  // of t
inline constexpr int kWideResidualBits = 16;  // that r's multiplier has beyond them

// What differs between the channels of one layer.
struct WideChannel {
  int64_t bias = 0;        // everything constant but the zero point; |bias| <= 2^60
  int32_t multiplier = 0;  // in [2^30, 2^31)
  int8_t pre_shift = 0;    // in [0, 26]; its rounding term is in the bias
  int8_t shift = 0;        // in [2, 31]
  uint16_t q_max = 65535;  // upper end of the fused clamp
  bool operator==(const WideChannel&) const = default;
};

// What all channels share.
struct WideOutput {
  int32_t zero_point = 0, q_min = 0;
};

struct WideResidual {
  int64_t multiplier = 0;  // round(s_b / s_y * 2^28), in [0, 2^45)
  int32_t zero_point = 0;
};

// |v * multiplier| < 2^62 and the rounding term is at most 2^30; |t| <= 2^60.
inline int64_t WideTerm(int64_t acc, const WideChannel& channel) {
  assert(channel.pre_shift >= 0 && channel.shift >= 2);
  constexpr int64_t kLow = std::numeric_limits<int32_t>::min();
  constexpr int64_t kHigh = std::numeric_limits<int32_t>::max();
  const int64_t v = std::clamp((acc + channel.bias) >> channel.pre_shift, kLow, kHigh);
  return (v * channel.multiplier + (int64_t{1} << (channel.shift - 1))) >> channel.shift;
}

// |level - zero_point| < 2^16, so the product is below 2^61.
inline int64_t WideResidualTerm(int32_t level, const WideResidual& residual) {
  constexpr int64_t kHalf = int64_t{1} << (kWideResidualBits - 1);
  return ((level - residual.zero_point) * residual.multiplier + kHalf) >> kWideResidualBits;
}

// The last rounding and the clamp; t includes the residual's term.
inline uint16_t WideLevel(int64_t t, uint16_t q_max, const WideOutput& output) {
  const int64_t u = (t + (1 << (kWideFractionBits - 1))) >> kWideFractionBits;
  return static_cast<uint16_t>(std::clamp<int64_t>(u + output.zero_point, output.q_min, q_max));
}

// Requantization of one layer as the artifact stores it.
struct WideLayerRequantize {
  int64_t residual_multiplier = 0;  // 0 without a residual
  std::vector<WideChannel> channels;
};

// As ChooseRequantize, for levels in [0, last_level] (255 or 65535) and a residual of either width.
// kInvalidArgument names the channel whose scale is not in [2^-38, 2^16), whose accumulator could
// leave [-2^59, 2^59], or whose residual is more than two ranges of the output wide.
Result<WideLayerRequantize> ChooseWideRequantize(const std::vector<SumChannel>& channels,
                                                 const SumOutput& output, int last_level);

// q = clamp((a * multiplier_a + b * multiplier_b + constant) >> shift, q_min, q_max), in 64 bits: a
// sum of two tensors of either width. Zero points and rounding are in the constant.
struct WideAddRequantize {
  int64_t constant = 0;                        // |constant| <= 2^61
  int32_t multiplier_a = 0, multiplier_b = 0;  // in [0, 2^31)
  int8_t shift = 0;                            // in [0, 40]
  uint16_t q_min = 0, q_max = 65535;
  bool operator==(const WideAddRequantize&) const = default;
};

// The products are below 2^47.
inline uint16_t WideAddRequantized(uint16_t a, uint16_t b, const WideAddRequantize& r) {
  const int64_t sum = int64_t{a} * r.multiplier_a + int64_t{b} * r.multiplier_b + r.constant;
  return static_cast<uint16_t>(std::clamp<int64_t>(sum >> r.shift, r.q_min, r.q_max));
}

// One summand: s_a / s_y and z_a.
struct WideSummand {
  double scale = 0;
  int zero_point = 0;
};
// kInvalidArgument when a scale is not in [0, 2^16), or both are 0.
Result<WideAddRequantize> ChooseWideAddRequantize(const WideSummand& a, const WideSummand& b,
                                                  int zero_y, int q_min, int q_max, int last_level);

}  // namespace haq::fixedpoint
