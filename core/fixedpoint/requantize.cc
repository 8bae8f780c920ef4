#include "core/fixedpoint/requantize.h"

#include <cmath>
#include <limits>
#include <optional>

namespace haq::fixedpoint {
namespace {

constexpr double kSmallestScale = 0x1p-38, kScaleEnd = 0x1p8;
constexpr double kSmallestAddScale = 0x1p-20;
// 255 << 22 and everything added to it stays inside int32.
constexpr int kLargestAddShift = 22;
// A channel whose result moves by no more than this many steps over all accumulators is a constant:
// its middle is at most half of this from the real value.
constexpr double kConstantSpan = 0x1p-5;

// value ~ multiplier * 2^(exponent - 15), multiplier in [2^14, 2^15).
struct Factor {
  int16_t multiplier = 0;
  int exponent = 0;
};

Factor SplitScale(double value) {
  int exponent = 0;
  const double mantissa = std::frexp(value, &exponent);  // in [0.5, 1)
  int64_t multiplier = std::llround(mantissa * 0x1p15);
  if (multiplier == 1 << 15) {
    multiplier = 1 << 14;
    ++exponent;
  }
  return {static_cast<int16_t>(multiplier), exponent};
}

// The bits of one output tensor under one setting.
class Chooser {
 public:
  Chooser(const TensorRequantize& tensor, const SumOutput& output,
          const ResidualRequantize& residual)
      : tensor_(tensor),
        zero_point_(output.zero_point),
        has_residual_(output.residual.has_value()),
        residual_low_(ScaleResidual(0, residual)),
        residual_high_(ScaleResidual(255, residual)) {}

  // Nothing when no constant term inside int32 gives the right result.
  std::optional<ChannelRequantize> Choose(const SumChannel& channel) const {
    const Factor factor = SplitScale(channel.scale);
    const int shift = -tensor_.fraction_bits - factor.exponent;
    if (shift < -15 || shift > 31) return std::nullopt;
    const double folded = channel.constant + (zero_point_ - tensor_.output_offset) / channel.scale;
    const double bias = std::round(folded + static_cast<double>(RoundingTerm(shift)));
    if (std::abs(bias) > 0x1p32 || !Fits(static_cast<int64_t>(bias), channel)) {
      return ChooseWithoutFold(channel);
    }
    const ChannelRequantize bits =
        Bits(static_cast<int64_t>(bias), factor.multiplier, shift, channel);
    if (!SaturatesHarmlessly(bits, channel)) return std::nullopt;
    return bits;
  }

 private:
  static int64_t RoundingTerm(int shift) { return shift > 0 ? int64_t{1} << (shift - 1) : 0; }

  static bool Fits(int64_t bias, const SumChannel& channel) {
    constexpr int64_t kLow = std::numeric_limits<int32_t>::min();
    constexpr int64_t kHigh = std::numeric_limits<int32_t>::max();
    const int64_t low = bias + std::min<int64_t>(channel.acc_min, 0);
    const int64_t high = bias + std::max<int64_t>(channel.acc_max, 0);
    return low >= kLow && high <= kHigh && channel.acc_min >= kLow && channel.acc_max <= kHigh;
  }

  static ChannelRequantize Bits(int64_t bias, int16_t multiplier, int shift,
                                const SumChannel& channel) {
    return {static_cast<int32_t>(bias), multiplier, static_cast<int8_t>(shift),
            static_cast<uint8_t>(channel.q_max)};
  }

  uint8_t Level(int16_t t, int16_t residual, const ChannelRequantize& bits) const {
    return RoundToLevel(Saturate16(int32_t{t} + residual), bits.q_max, tensor_);
  }

  // Where the first step saturates, the exact sum is at least as far out, so the result is right if
  // even the opposite end of the residual leaves it at its clamp. Without a residual it always is:
  // saturated values are then at least 2^14, which is past every clamp
  // (docs/integer_arithmetic.md).
  bool SaturatesHarmlessly(const ChannelRequantize& bits, const SumChannel& channel) const {
    const auto shifted = [&](int64_t acc) {
      return bits.shift >= 0 ? (acc + bits.bias) >> bits.shift
                             : (acc + bits.bias) * (int64_t{1} << -bits.shift);
    };
    const int16_t top = RoundingMultiplyQ15(32767, bits.multiplier);
    const int16_t bottom = RoundingMultiplyQ15(-32768, bits.multiplier);
    return (shifted(channel.acc_max) <= 32767 || Level(top, residual_low_, bits) == bits.q_max) &&
           (shifted(channel.acc_min) >= -32768 ||
            Level(bottom, residual_high_, bits) == tensor_.q_min);
  }

  // A term of the residual in steps of the output.
  double Steps(int16_t residual) const { return std::ldexp(residual, -tensor_.fraction_bits); }

  // The constant term does not fit. That is harmless for results that are the same for every
  // accumulator, which tiny scales make likely: those get another multiplier and shift, with which
  // they come out right.
  std::optional<ChannelRequantize> ChooseWithoutFold(const SumChannel& channel) const {
    const auto exact = [&](int64_t acc) {
      return zero_point_ + channel.scale * (channel.constant + static_cast<double>(acc));
    };
    const double low = exact(channel.acc_min), high = exact(channel.acc_max);
    const double middle = (low + high) / 2;
    const bool constant = high - low <= kConstantSpan;
    if (std::round((constant ? middle : low) + Steps(residual_low_)) >= channel.q_max) {
      // acc + bias >= 32767: u is at least 127 (centred) or 255 (direct).
      return Checked(32767 - channel.acc_min, 0, channel.q_max, channel);
    }
    if (std::round((constant ? middle : high) + Steps(residual_high_)) <= tensor_.q_min) {
      return Checked(-32768 - channel.acc_max, 0, tensor_.q_min, channel);
    }
    if (!constant) return std::nullopt;
    return has_residual_ ? ChooseConstantTerm(middle, channel)
                         : ChooseConstantLevel(static_cast<int>(std::round(middle)), channel);
  }

  // The constant term with which the middle of the accumulator's range becomes `t`, under the
  // largest shift, hence with the least influence of the accumulator, that has room for it.
  std::optional<ChannelRequantize> ChooseConstant(int64_t t, const SumChannel& channel) const {
    const int64_t center = channel.acc_min + (channel.acc_max - channel.acc_min) / 2;
    for (int shift = 31; shift >= 0; --shift) {
      const int64_t bias = t * (int64_t{1} << (1 + shift)) + RoundingTerm(shift) - center;
      if (Fits(bias, channel)) return Bits(bias, kHalf, shift, channel);
    }
    return std::nullopt;
  }

  std::optional<ChannelRequantize> ChooseConstantLevel(int level, const SumChannel& channel) const {
    const auto bits = ChooseConstant(
        int64_t{level - tensor_.output_offset} * (1 << tensor_.fraction_bits), channel);
    return bits ? Checked(bits->bias, bits->shift, level, channel) : std::nullopt;
  }

  // What is constant is a term of the sum with the residual, not a level.
  std::optional<ChannelRequantize> ChooseConstantTerm(double middle,
                                                      const SumChannel& channel) const {
    const double exact = std::ldexp(middle - tensor_.output_offset, tensor_.fraction_bits);
    if (std::abs(exact) > 0x1p14 - 2) return std::nullopt;  // v = 2 t would saturate
    const auto bits = ChooseConstant(std::llround(exact), channel);
    if (!bits) return std::nullopt;
    for (const int64_t acc : {channel.acc_min, channel.acc_max}) {
      const int16_t t = ScaleAccumulator(static_cast<int32_t>(bits->bias + acc), *bits);
      if (std::abs(t - exact) > std::ldexp(kConstantSpan, tensor_.fraction_bits)) {
        return std::nullopt;
      }
    }
    return bits;
  }

  // The result never falls when the accumulator or the residual grows, so equal results at both
  // ends of their ranges are equal results in all of them.
  std::optional<ChannelRequantize> Checked(int64_t bias, int shift, int level,
                                           const SumChannel& channel) const {
    if (!Fits(bias, channel)) return std::nullopt;
    const ChannelRequantize bits = Bits(bias, kHalf, shift, channel);
    const auto result = [&](int64_t acc, int16_t residual) {
      return Level(ScaleAccumulator(static_cast<int32_t>(bias + acc), bits), residual, bits);
    };
    if (result(channel.acc_min, residual_low_) != level ||
        result(channel.acc_max, residual_high_) != level) {
      return std::nullopt;
    }
    return bits;
  }

  static constexpr int16_t kHalf = 1 << 14;

  TensorRequantize tensor_;
  int zero_point_;
  bool has_residual_;
  int16_t residual_low_, residual_high_;  // zeros without a residual
};

Status CheckLevels(int zero_point, int q_min, int q_max) {
  if (zero_point < 0 || zero_point > 255) {
    return InvalidArgument("zero point {} is outside [0, 255]", zero_point);
  }
  if (q_min < 0 || q_max > 255 || q_min > q_max) {
    return InvalidArgument("clamp [{}, {}] is not a range within [0, 255]", q_min, q_max);
  }
  return {};
}

Status CheckChannel(const SumChannel& channel, const SumOutput& output) {
  HAQ_RETURN_IF_ERROR(CheckLevels(output.zero_point, output.q_min, channel.q_max));
  if (!(channel.scale >= kSmallestScale && channel.scale < kScaleEnd)) {
    return InvalidArgument("requantization scale {} is outside [2^-38, 2^8)", channel.scale);
  }
  if (!std::isfinite(channel.constant)) {
    return InvalidArgument("constant {} is not finite", channel.constant);
  }
  constexpr int64_t kBound = int64_t{1} << 48;
  if (channel.acc_min > channel.acc_max || channel.acc_min < -kBound || channel.acc_max > kBound) {
    return InvalidArgument("[{}, {}] is not an accumulator range", channel.acc_min,
                           channel.acc_max);
  }
  return {};
}

Status CheckResidual(const SumResidual& residual) {
  if (residual.zero_point < 0 || residual.zero_point > 255) {
    return InvalidArgument("zero point {} of the residual is outside [0, 255]",
                           residual.zero_point);
  }
  if (!(residual.scale >= 0 && std::isfinite(residual.scale))) {
    return InvalidArgument("scale {} of the residual is not a finite number above zero",
                           residual.scale);
  }
  return {};
}

// -1 when every channel could be chosen, the first that could not otherwise.
int64_t ChooseChannels(const std::vector<SumChannel>& channels, const Chooser& chooser,
                       std::vector<ChannelRequantize>& chosen) {
  chosen.clear();
  chosen.reserve(channels.size());
  for (const SumChannel& channel : channels) {
    const auto bits = chooser.Choose(channel);
    if (!bits) return static_cast<int64_t>(chosen.size());
    chosen.push_back(*bits);
  }
  return -1;
}

struct Setting {
  TensorRequantize tensor;
  ResidualRequantize residual;
};

// In the order in which they are tried.
std::vector<Setting> SettingsOf(const SumOutput& output, bool small) {
  const auto q_min = static_cast<uint8_t>(output.q_min);
  const auto zero_point = static_cast<int16_t>(output.zero_point);
  std::vector<Setting> settings;
  if (small) settings.push_back({{7, 128, q_min}, {}});
  settings.push_back({{6, zero_point, q_min}, {}});
  return settings;
}

// The sum alone may leave the output's range by what the residual brings back. Half the residual's
// range, mirrored, is where the offset leaves the sum the same room at both ends of [q_min, q_max].
std::vector<Setting> SettingsBesideResidual(const SumOutput& output, int q_max, bool small) {
  const SumResidual& residual = *output.residual;
  const double residual_middle = residual.scale * (127.5 - residual.zero_point);
  const double balanced = std::round((output.q_min + q_max) / 2.0 - residual_middle);
  TensorRequantize tensor;
  tensor.q_min = static_cast<uint8_t>(output.q_min);
  tensor.output_offset =
      static_cast<int16_t>(small ? std::clamp(balanced, 0.0, 255.0) : output.zero_point);
  std::vector<Setting> settings;
  for (int bits = 7; bits >= 4; --bits) {
    const double multiplier = std::nearbyint(std::ldexp(residual.scale, bits + 8));
    if (multiplier >= 0x1p15) continue;
    tensor.fraction_bits = static_cast<uint8_t>(bits);
    settings.push_back(
        {tensor, {static_cast<int16_t>(multiplier), static_cast<uint8_t>(residual.zero_point)}});
  }
  return settings;
}

}  // namespace

Result<LayerRequantize> ChooseRequantize(const std::vector<SumChannel>& channels,
                                         const SumOutput& output) {
  HAQ_RETURN_IF_ERROR(CheckLevels(output.zero_point, output.q_min, 255));
  if (output.residual) HAQ_RETURN_IF_ERROR(CheckResidual(*output.residual));
  bool small = true;  // every scale below 2^-7, after rounding
  int q_max = 0;
  for (size_t i = 0; i < channels.size(); ++i) {
    HAQ_RETURN_IF_ERROR(
        CheckChannel(channels[i], output).WithContext(fmt::format("channel {}", i)));
    small = small && SplitScale(channels[i].scale).exponent <= -7;
    q_max = std::max(q_max, channels[i].q_max);
  }
  LayerRequantize layer;
  int64_t failed = 0;
  for (const Setting& setting :
       output.residual ? SettingsBesideResidual(output, q_max, small) : SettingsOf(output, small)) {
    layer.tensor = setting.tensor;
    layer.residual = setting.residual;
    failed =
        ChooseChannels(channels, Chooser(setting.tensor, output, setting.residual), layer.channels);
    if (failed < 0) return layer;
  }
  const SumChannel& channel = channels[failed];
  if (output.residual) {
    return InvalidArgument(
        "channel {}: the accumulator in [{}, {}] at requantization scale {} and a residual at "
        "scale "
        "{} cannot be added in 16 bits",
        failed, channel.acc_min, channel.acc_max, channel.scale, output.residual->scale);
  }
  return InvalidArgument(
      "channel {}: the accumulator in [{}, {}] with constant {} can leave int32 at requantization "
      "scale {}",
      failed, channel.acc_min, channel.acc_max, channel.constant, channel.scale);
}

Result<AddRequantize> ChooseAddRequantize(double scale_a, int zero_a, double scale_b, int zero_b,
                                          int zero_y, int q_min, int q_max) {
  HAQ_RETURN_IF_ERROR(CheckLevels(zero_y, q_min, q_max));
  for (const double scale : {scale_a, scale_b}) {
    if (!(scale >= kSmallestAddScale && scale < kScaleEnd)) {
      return InvalidArgument("scale {} of a summand is outside [2^-20, 2^8)", scale);
    }
  }
  for (const int zero : {zero_a, zero_b}) {
    if (zero < 0 || zero > 255) {
      return InvalidArgument("zero point {} of a summand is outside [0, 255]", zero);
    }
  }
  const int exponent = SplitScale(std::max(scale_a, scale_b)).exponent;
  const int shift = std::min(15 - exponent, kLargestAddShift);
  const auto a = static_cast<int32_t>(std::llround(std::ldexp(scale_a, shift)));
  const auto b = static_cast<int32_t>(std::llround(std::ldexp(scale_b, shift)));
  // |a * 255| and |b * 255| < 2^23, zero_y << shift < 2^30, so every partial sum is inside int32.
  assert(a < 1 << 15 && b < 1 << 15 && shift >= 6);
  AddRequantize add;
  add.multiplier_a = static_cast<int16_t>(a);
  add.multiplier_b = static_cast<int16_t>(b);
  add.shift = static_cast<int8_t>(shift);
  add.constant = (zero_y << shift) + (1 << (shift - 1)) - zero_a * a - zero_b * b;
  add.q_min = static_cast<uint8_t>(q_min);
  add.q_max = static_cast<uint8_t>(q_max);
  return add;
}

}  // namespace haq::fixedpoint
