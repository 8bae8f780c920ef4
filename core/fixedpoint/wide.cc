#include "core/fixedpoint/wide.h"

#include <cmath>

namespace haq::fixedpoint {
namespace {

constexpr double kSmallestScale = 0x1p-38, kScaleEnd = 0x1p16;
constexpr int64_t kLargestBias = int64_t{1} << 60, kLargestSum = int64_t{1} << 59;
// v has 2^-13 of a step at most, so that its 32 bits reach 2^18 steps to either side.
constexpr int kPreShiftExponent = -12;
constexpr int kLargestAddShift = 40;

Status CheckLevels(int zero_point, int q_min, int q_max, int last_level) {
  if (zero_point < 0 || zero_point > last_level) {
    return InvalidArgument("zero point {} is outside [0, {}]", zero_point, last_level);
  }
  if (q_min < 0 || q_max > last_level || q_min > q_max) {
    return InvalidArgument("clamp [{}, {}] is not a range within [0, {}]", q_min, q_max,
                           last_level);
  }
  return {};
}

Status CheckChannel(const SumChannel& channel, const SumOutput& output, int last_level) {
  HAQ_RETURN_IF_ERROR(CheckLevels(output.zero_point, output.q_min, channel.q_max, last_level));
  if (!(channel.scale >= kSmallestScale && channel.scale < kScaleEnd)) {
    return InvalidArgument("requantization scale {} is outside [2^-38, 2^16)", channel.scale);
  }
  if (!std::isfinite(channel.constant)) {
    return InvalidArgument("constant {} is not finite", channel.constant);
  }
  if (channel.acc_min > channel.acc_max || channel.acc_min < -kLargestSum ||
      channel.acc_max > kLargestSum) {
    return InvalidArgument("[{}, {}] is not an accumulator range within [-2^59, 2^59]",
                           channel.acc_min, channel.acc_max);
  }
  return {};
}

// scale ~ multiplier 2^-(shift + 12 + pre_shift).
WideChannel BitsOf(const SumChannel& channel) {
  int exponent = 0;
  auto multiplier =
      static_cast<int64_t>(std::nearbyint(std::frexp(channel.scale, &exponent) * 0x1p31));
  if (multiplier == int64_t{1} << 31) {
    multiplier >>= 1;
    ++exponent;
  }
  const int pre_shift = std::max(0, kPreShiftExponent - exponent);
  WideChannel bits;
  bits.multiplier = static_cast<int32_t>(multiplier);
  bits.pre_shift = static_cast<int8_t>(pre_shift);
  bits.shift = static_cast<int8_t>(31 - kWideFractionBits - exponent - pre_shift);
  bits.q_max = static_cast<uint16_t>(channel.q_max);
  const double rounding = pre_shift > 0 ? std::ldexp(1.0, pre_shift - 1) : 0;
  // A constant beyond is past every clamp, and stays it: 2^60 units are at least 2^22 steps.
  const double bias =
      std::clamp(std::round(channel.constant + rounding), -static_cast<double>(kLargestBias),
                 static_cast<double>(kLargestBias));
  bits.bias = static_cast<int64_t>(bias);
  return bits;
}

// See Chooser::SaturatesHarmlessly of the 16-bit form.
bool SaturatesHarmlessly(const WideChannel& bits, const SumChannel& channel,
                         const WideOutput& output, int64_t residual_low, int64_t residual_high) {
  constexpr int64_t kLow = std::numeric_limits<int32_t>::min();
  constexpr int64_t kHigh = std::numeric_limits<int32_t>::max();
  // Accumulators whose v is just saturated: the term of all that saturate.
  const int64_t top = WideTerm((kHigh << bits.pre_shift) - bits.bias, bits);
  const int64_t bottom = WideTerm(kLow * (int64_t{1} << bits.pre_shift) - bits.bias, bits);
  const auto shifted = [&](int64_t acc) { return (acc + bits.bias) >> bits.pre_shift; };
  return (shifted(channel.acc_max) <= kHigh ||
          WideLevel(top + residual_low, bits.q_max, output) == bits.q_max) &&
         (shifted(channel.acc_min) >= kLow ||
          WideLevel(bottom + residual_high, bits.q_max, output) == output.q_min);
}

Result<WideResidual> ChooseResidual(const SumResidual& residual) {
  if (residual.zero_point < 0 || residual.zero_point > 65535) {
    return InvalidArgument("zero point {} of the residual is outside [0, 65535]",
                           residual.zero_point);
  }
  if (!(residual.scale >= 0 && residual.scale < 0x1p16)) {
    return InvalidArgument("scale {} of the residual is outside [0, 2^16)", residual.scale);
  }
  const double multiplier =
      std::nearbyint(std::ldexp(residual.scale, kWideFractionBits + kWideResidualBits));
  return WideResidual{static_cast<int64_t>(multiplier), residual.zero_point};
}

}  // namespace

Result<WideLayerRequantize> ChooseWideRequantize(const std::vector<SumChannel>& channels,
                                                 const SumOutput& output, int last_level) {
  HAQ_RETURN_IF_ERROR(CheckLevels(output.zero_point, output.q_min, last_level, last_level));
  WideLayerRequantize layer;
  int64_t residual_low = 0, residual_high = 0;
  if (output.residual) {
    HAQ_ASSIGN_OR_RETURN(const WideResidual residual, ChooseResidual(*output.residual));
    layer.residual_multiplier = residual.multiplier;
    residual_low = WideResidualTerm(0, residual);
    residual_high = WideResidualTerm(output.residual->last_level, residual);
  }
  const WideOutput wide{output.zero_point, output.q_min};
  for (size_t i = 0; i < channels.size(); ++i) {
    const SumChannel& channel = channels[i];
    HAQ_RETURN_IF_ERROR(
        CheckChannel(channel, output, last_level).WithContext(fmt::format("channel {}", i)));
    layer.channels.push_back(BitsOf(channel));
    if (!SaturatesHarmlessly(layer.channels.back(), channel, wide, residual_low, residual_high)) {
      return InvalidArgument(
          "channel {}: the accumulator in [{}, {}] at requantization scale {} and a residual at "
          "scale {} cannot be added in 32 bits",
          i, channel.acc_min, channel.acc_max, channel.scale, output.residual->scale);
    }
  }
  return layer;
}

Result<WideAddRequantize> ChooseWideAddRequantize(const WideSummand& a, const WideSummand& b,
                                                  int zero_y, int q_min, int q_max,
                                                  int last_level) {
  HAQ_RETURN_IF_ERROR(CheckLevels(zero_y, q_min, q_max, last_level));
  const double larger = std::max(a.scale, b.scale);
  for (const WideSummand& summand : {a, b}) {
    if (!(summand.scale >= 0 && larger > 0 && larger < 0x1p16)) {
      return InvalidArgument("scale {} of a summand is outside [0, 2^16), or both are 0",
                             summand.scale);
    }
    if (summand.zero_point < 0 || summand.zero_point > 65535) {
      return InvalidArgument("zero point {} of a summand is outside [0, 65535]",
                             summand.zero_point);
    }
  }
  // The larger multiplier is below 2^31 even when it is rounded up.
  int exponent = 0;
  std::frexp(larger * (1 + 0x1p-31), &exponent);
  const int shift = std::min(31 - exponent, kLargestAddShift);
  WideAddRequantize add;
  add.shift = static_cast<int8_t>(shift);
  add.multiplier_a = static_cast<int32_t>(std::nearbyint(std::ldexp(a.scale, shift)));
  add.multiplier_b = static_cast<int32_t>(std::nearbyint(std::ldexp(b.scale, shift)));
  add.constant = int64_t{zero_y} * (int64_t{1} << shift) + (int64_t{1} << (shift - 1)) -
                 int64_t{add.multiplier_a} * a.zero_point -
                 int64_t{add.multiplier_b} * b.zero_point;
  add.q_min = static_cast<uint16_t>(q_min);
  add.q_max = static_cast<uint16_t>(q_max);
  return add;
}

}  // namespace haq::fixedpoint
