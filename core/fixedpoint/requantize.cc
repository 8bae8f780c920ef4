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

struct Channel {
  double scale, constant;
  int64_t acc_min, acc_max;
};

// Bits of one output tensor under one of the two settings.
class Chooser {
 public:
  Chooser(const TensorRequantize& tensor, int zero_point)
      : tensor_(tensor), zero_point_(zero_point) {}

  // Nothing when no constant term inside int32 gives the right result.
  std::optional<ChannelRequantize> Choose(const Channel& channel) const {
    const Factor factor = SplitScale(channel.scale);
    const int shift = -tensor_.fraction_bits - factor.exponent;
    if (shift < -15 || shift > 31) return std::nullopt;
    const double folded = channel.constant + (zero_point_ - tensor_.output_offset) / channel.scale;
    const double bias = std::round(folded + static_cast<double>(RoundingTerm(shift)));
    if (std::abs(bias) <= 0x1p32 && Fits(static_cast<int64_t>(bias), channel)) {
      return ChannelRequantize{static_cast<int32_t>(bias), factor.multiplier,
                               static_cast<int8_t>(shift)};
    }
    return ChooseWithoutFold(channel);
  }

 private:
  static int64_t RoundingTerm(int shift) { return shift > 0 ? int64_t{1} << (shift - 1) : 0; }

  static bool Fits(int64_t bias, const Channel& channel) {
    constexpr int64_t kLow = std::numeric_limits<int32_t>::min();
    constexpr int64_t kHigh = std::numeric_limits<int32_t>::max();
    const int64_t low = bias + std::min<int64_t>(channel.acc_min, 0);
    const int64_t high = bias + std::max<int64_t>(channel.acc_max, 0);
    return low >= kLow && high <= kHigh && channel.acc_min >= kLow && channel.acc_max <= kHigh;
  }

  // The constant term does not fit. That is harmless for results that are the same for every
  // accumulator, which tiny scales make likely: those get another multiplier and shift, with which
  // they come out right.
  std::optional<ChannelRequantize> ChooseWithoutFold(const Channel& channel) const {
    const double low = zero_point_ + channel.scale * (channel.constant + channel.acc_min);
    const double high = zero_point_ + channel.scale * (channel.constant + channel.acc_max);
    const double middle = std::round((low + high) / 2);
    const bool constant = high - low <= kConstantSpan;
    if (low >= tensor_.q_max || (constant && middle >= tensor_.q_max)) {
      // acc + bias >= 32767: u is at least 127 (centred) or 255 (direct).
      return Checked(32767 - channel.acc_min, 0, tensor_.q_max, channel);
    }
    if (high <= tensor_.q_min || (constant && middle <= tensor_.q_min)) {
      return Checked(-32768 - channel.acc_max, 0, tensor_.q_min, channel);
    }
    if (!constant) return std::nullopt;
    return ChooseConstantLevel(static_cast<int>(middle), channel);
  }

  // The largest shift, hence the least influence of the accumulator, whose constant term fits.
  std::optional<ChannelRequantize> ChooseConstantLevel(int level, const Channel& channel) const {
    const int64_t center = channel.acc_min + (channel.acc_max - channel.acc_min) / 2;
    const int64_t distance = level - tensor_.output_offset;
    for (int shift = 31; shift >= 0; --shift) {
      const int64_t bias = distance * (int64_t{1} << (1 + shift + tensor_.fraction_bits)) +
                           RoundingTerm(shift) - center;
      if (Fits(bias, channel)) return Checked(bias, shift, level, channel);
    }
    return std::nullopt;
  }

  // Requantize never falls when the accumulator grows, so equal results at both ends of the
  // accumulator's range are equal results in all of it.
  std::optional<ChannelRequantize> Checked(int64_t bias, int shift, int level,
                                           const Channel& channel) const {
    if (!Fits(bias, channel)) return std::nullopt;
    constexpr int16_t kHalf = 1 << 14;
    for (const int64_t acc : {channel.acc_min, channel.acc_max}) {
      if (Requantize(static_cast<int32_t>(bias + acc), kHalf, shift, tensor_) != level) {
        return std::nullopt;
      }
    }
    return ChannelRequantize{static_cast<int32_t>(bias), kHalf, static_cast<int8_t>(shift)};
  }

  TensorRequantize tensor_;
  int zero_point_;
};

Status CheckOutput(int zero_point, int q_min, int q_max) {
  if (zero_point < 0 || zero_point > 255) {
    return InvalidArgument("zero point {} is outside [0, 255]", zero_point);
  }
  if (q_min < 0 || q_max > 255 || q_min > q_max) {
    return InvalidArgument("clamp [{}, {}] is not a range within [0, 255]", q_min, q_max);
  }
  return {};
}

Status CheckChannel(size_t index, const Channel& channel) {
  if (!(channel.scale >= kSmallestScale && channel.scale < kScaleEnd)) {
    return InvalidArgument("channel {}: requantization scale {} is outside [2^-38, 2^8)", index,
                           channel.scale);
  }
  if (!std::isfinite(channel.constant)) {
    return InvalidArgument("channel {}: constant {} is not finite", index, channel.constant);
  }
  constexpr int64_t kBound = int64_t{1} << 48;
  if (channel.acc_min > channel.acc_max || channel.acc_min < -kBound || channel.acc_max > kBound) {
    return InvalidArgument("channel {}: [{}, {}] is not an accumulator range", index,
                           channel.acc_min, channel.acc_max);
  }
  return {};
}

// -1 when every channel could be chosen, the first that could not otherwise.
int64_t ChooseChannels(const std::vector<Channel>& channels, const Chooser& chooser,
                       std::vector<ChannelRequantize>& chosen) {
  chosen.clear();
  chosen.reserve(channels.size());
  for (const Channel& channel : channels) {
    const auto bits = chooser.Choose(channel);
    if (!bits) return static_cast<int64_t>(chosen.size());
    chosen.push_back(*bits);
  }
  return -1;
}

}  // namespace

Result<LayerRequantize> ChooseRequantize(const std::vector<double>& scales,
                                         const std::vector<double>& constants,
                                         const std::vector<int64_t>& acc_min,
                                         const std::vector<int64_t>& acc_max, int zero_point,
                                         int q_min, int q_max) {
  HAQ_RETURN_IF_ERROR(CheckOutput(zero_point, q_min, q_max));
  if (constants.size() != scales.size() || acc_min.size() != scales.size() ||
      acc_max.size() != scales.size()) {
    return InvalidArgument("{} scales, {} constants and {} and {} accumulator bounds differ",
                           scales.size(), constants.size(), acc_min.size(), acc_max.size());
  }
  std::vector<Channel> channels;
  bool small = true;  // every scale below 2^-7, after rounding
  for (size_t i = 0; i < scales.size(); ++i) {
    channels.push_back({scales[i], constants[i], acc_min[i], acc_max[i]});
    HAQ_RETURN_IF_ERROR(CheckChannel(i, channels.back()));
    small = small && SplitScale(scales[i]).exponent <= -7;
  }

  LayerRequantize layer;
  layer.tensor.q_min = static_cast<uint8_t>(q_min);
  layer.tensor.q_max = static_cast<uint8_t>(q_max);
  if (small) {
    layer.tensor.fraction_bits = 7;
    layer.tensor.output_offset = 128;
    if (ChooseChannels(channels, Chooser(layer.tensor, zero_point), layer.channels) < 0) {
      return layer;
    }
  }
  layer.tensor.fraction_bits = 6;
  layer.tensor.output_offset = static_cast<int16_t>(zero_point);
  const int64_t failed =
      ChooseChannels(channels, Chooser(layer.tensor, zero_point), layer.channels);
  if (failed < 0) return layer;
  const Channel& channel = channels[failed];
  return InvalidArgument(
      "channel {}: the accumulator in [{}, {}] with constant {} can leave int32 at requantization "
      "scale {}",
      failed, channel.acc_min, channel.acc_max, channel.constant, channel.scale);
}

Result<AddRequantize> ChooseAddRequantize(double scale_a, int zero_a, double scale_b, int zero_b,
                                          int zero_y, int q_min, int q_max) {
  HAQ_RETURN_IF_ERROR(CheckOutput(zero_y, q_min, q_max));
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
