// The scalar arithmetic that defines the bits: every kernel of every instruction set equals it
// exactly. docs/integer_arithmetic.md derives it, with its error analysis and a worked example.
//
// Requantization takes an int32 accumulator to an 8-bit level in 16-bit steps:
//
//   x = acc >> shift                          (shift >= 0; the rounding term is part of acc, see
//   below)
//       clamp(acc, -2^15, 2^15) << -shift     (shift < 0)
//   v = saturate16(x)
//   t = (v * multiplier + 2^14) >> 15         multiplier in [2^14, 2^15): "rounding Q15 multiply"
//   u = (t * 2^(15 - fraction_bits) + 2^14) >> 15 = (t + 2^(fraction_bits - 1)) >> fraction_bits
//   q = clamp(u + output_offset, q_min, q_max)
//
// so that q ~ output_offset + acc * multiplier * 2^(-15 - shift - fraction_bits). Right shifts of
// negative numbers are arithmetic. Per channel: acc's constant term, multiplier, shift, q_max. Per
// tensor: the rest. A residual b is added between the second and the third step:
//
//   r = ((b - z_b) * 2^7 * residual_multiplier + 2^14) >> 15
//   t = saturate16(t + r)
//
// Three settings are used (ChooseRequantize decides per tensor):
//   centred   fraction_bits 7, output_offset 128: the distance of z_y from 128 is folded into acc's
//   constant term, so that the result uses all of the 16 bits. For M < 2^-7, which is nearly every
//   layer.
//   direct    fraction_bits 6, output_offset z_y: for layers with large M, where one step of acc is
//   coarser than the fold.
//   residual  the most fraction_bits, of 7 to 4, for which the sum with the residual is right for
//   every accumulator and every level; output_offset halfway between what both ends need (M < 2^-7)
//   or z_y.
// The rounding term 2^(shift - 1) of the first step is folded into the constant term too, by the
// builder.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/status.h"

namespace haq::fixedpoint {

// What differs between the channels of one layer.
struct ChannelRequantize {
  int32_t bias = 0;        // starts the accumulator: everything constant, see the builder functions
  int16_t multiplier = 0;  // Q15, in [2^14, 2^15)
  int8_t shift = 0;        // in [-15, 31]
  uint8_t q_max = 255;     // upper end of the fused clamp, at least the tensor's q_min
  bool operator==(const ChannelRequantize&) const = default;
};

// What all channels share.
struct TensorRequantize {
  uint8_t fraction_bits = 7;    // 6 or 7; 4 to 7 beside a residual
  int16_t output_offset = 128;  // in [0, 255]
  uint8_t q_min = 0;            // lower end of the fused clamp
  bool operator==(const TensorRequantize&) const = default;
};

// A second tensor that is added before the last rounding.
struct ResidualRequantize {
  int16_t multiplier = 0;  // round(s_b / s_y * 2^(fraction_bits + 8)), in [0, 2^15)
  uint8_t zero_point = 0;  // of the second tensor
  bool operator==(const ResidualRequantize&) const = default;
};

inline int16_t Saturate16(int32_t x) {
  return static_cast<int16_t>(std::clamp<int32_t>(x, -32768, 32767));
}

// Range: |a * b| <= 2^30 because b >= 0 is a Q15 multiplier below 2^15, so nothing overflows and
// the result fits 16 bits.
inline int16_t RoundingMultiplyQ15(int16_t a, int16_t b) {
  return static_cast<int16_t>((int32_t{a} * int32_t{b} + (1 << 14)) >> 15);
}

// t: the accumulator, which includes the channel's bias, in units of 2^-fraction_bits of a step.
inline int16_t ScaleAccumulator(int32_t acc, const ChannelRequantize& channel) {
  assert(channel.shift >= -15 && channel.shift <= 31 && channel.multiplier >= 0);
  const int32_t x = channel.shift >= 0
                        ? acc >> channel.shift
                        : std::clamp<int32_t>(acc, -(1 << 15), 1 << 15) * (1 << -channel.shift);
  return RoundingMultiplyQ15(Saturate16(x), channel.multiplier);
}

// r: the residual's level in the same units. |level - zero_point| <= 255, so its product with 2^7
// fits 16 bits.
inline int16_t ScaleResidual(uint8_t level, const ResidualRequantize& residual) {
  const auto distance = static_cast<int16_t>((int32_t{level} - residual.zero_point) * (1 << 7));
  return RoundingMultiplyQ15(distance, residual.multiplier);
}

// The last rounding and the clamp.
inline uint8_t RoundToLevel(int16_t t, uint8_t q_max, const TensorRequantize& tensor) {
  const int32_t u = (int32_t{t} + (1 << (tensor.fraction_bits - 1))) >> tensor.fraction_bits;
  return static_cast<uint8_t>(std::clamp<int32_t>(u + tensor.output_offset, tensor.q_min, q_max));
}

inline uint8_t Requantize(int32_t acc, const ChannelRequantize& channel,
                          const TensorRequantize& tensor) {
  return RoundToLevel(ScaleAccumulator(acc, channel), channel.q_max, tensor);
}

inline uint8_t RequantizeWithResidual(int32_t acc, uint8_t level, const ChannelRequantize& channel,
                                      const TensorRequantize& tensor,
                                      const ResidualRequantize& residual) {
  const int32_t t = int32_t{ScaleAccumulator(acc, channel)} + ScaleResidual(level, residual);
  return RoundToLevel(Saturate16(t), channel.q_max, tensor);
}

// One channel of a layer in real numbers: q = z_y + scale * (acc + constant), where acc is the
// integer sum that the kernel adds up.
struct SumChannel {
  double scale = 0;     // M > 0, in steps of the output per unit of the accumulator
  double constant = 0;  // what is constant in exact real arithmetic: bias / (s_x s_w) - z_x sum(w)
  int64_t acc_min = 0, acc_max = 0;  // the range of acc
  int q_max = 255;                   // upper end of the fused clamp
};

// s_b / s_y, z_b and the highest level of a tensor that is added to the sum.
struct SumResidual {
  double scale = 0;
  int zero_point = 0;
  int last_level = 255;
};

struct SumOutput {
  int zero_point = 0;
  int q_min = 0;  // lower end of the fused clamp
  std::optional<SumResidual> residual = {};
};

// Requantization of one layer as the artifact stores it.
struct LayerRequantize {
  TensorRequantize tensor;
  ResidualRequantize residual;  // zeros without one
  std::vector<ChannelRequantize> channels;
};

// Chooses setting, multipliers, shifts and constant terms. All constants are rounded once,
// together. kInvalidArgument names the channel whose accumulator could leave int32, whose scale is
// not in [2^-38, 2^8), or whose residual cannot be added in 16 bits: one whose scale is over four
// times the output's, or one beside a channel scale so small that the accumulator has no room for
// the zero point. Such a residual can be added by itself.
Result<LayerRequantize> ChooseRequantize(const std::vector<SumChannel>& channels,
                                         const SumOutput& output);

// q = clamp((a * multiplier_a + b * multiplier_b + constant) >> shift, q_min, q_max): the sum of
// two tensors with their own scales. a and b are the stored levels; zero points and rounding are in
// the constant.
struct AddRequantize {
  int16_t multiplier_a = 0, multiplier_b = 0;
  int8_t shift = 0;  // in [0, 30]
  int32_t constant = 0;
  uint8_t q_min = 0, q_max = 255;
  bool operator==(const AddRequantize&) const = default;
};

inline uint8_t AddRequantized(uint8_t a, uint8_t b, const AddRequantize& r) {
  const int32_t sum = int32_t{a} * r.multiplier_a + int32_t{b} * r.multiplier_b + r.constant;
  return static_cast<uint8_t>(std::clamp<int32_t>(sum >> r.shift, r.q_min, r.q_max));
}

// For s_a (a - z_a) + s_b (b - z_b) = s_y (q - z_y), given scale_a = s_a / s_y and scale_b = s_b /
// s_y. kInvalidArgument when a scale is not in [2^-20, 2^8).
Result<AddRequantize> ChooseAddRequantize(double scale_a, int zero_a, double scale_b, int zero_b,
                                          int zero_y, int q_min, int q_max);

}  // namespace haq::fixedpoint
