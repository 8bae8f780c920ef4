#include "core/quant/params.h"

#include <algorithm>
#include <cmath>

namespace haq::quant {
namespace {

// Below this a float scale would be denormal and its reciprocal infinite.
constexpr double kSmallestScale = 1e-30;

float ScaleAtLeast(double scale) { return static_cast<float>(std::max(scale, kSmallestScale)); }

// The levels of a tensor of that many bits.
class Levels {
 public:
  explicit Levels(int bits) : bits_(bits), last_(LastLevel(bits)), middle_((last_ + 1) / 2) {}

  // Levels from the lowest to the highest around the middle, no end of the range clipped.
  double SymmetricScale(const Range& range) const {
    return std::max(-range.low / middle_, range.high / (last_ - middle_));
  }
  double AsymmetricScale(const Range& range) const { return (range.high - range.low) / last_; }

  TensorParams Symmetric(const Range& range, std::string reason) const {
    return Finish(ScaleAtLeast(SymmetricScale(range)), middle_, TensorScheme::kSymmetric,
                  std::move(reason));
  }
  TensorParams Asymmetric(const Range& range, std::string reason) const {
    const float scale = ScaleAtLeast(AsymmetricScale(range));
    const auto zero_point = static_cast<int32_t>(
        std::clamp(std::nearbyint(-range.low / scale), 0.0, static_cast<double>(last_)));
    return Finish(scale, zero_point,
                  range.low == 0 ? TensorScheme::kOneSided : TensorScheme::kAsymmetric,
                  std::move(reason));
  }
  TensorParams AllZero(bool symmetric) const {
    return symmetric ? Finish(1, middle_, TensorScheme::kSymmetric, "all zero")
                     : Finish(1, 0, TensorScheme::kOneSided, "all zero");
  }

 private:
  TensorParams Finish(float scale, int32_t zero_point, TensorScheme scheme,
                      std::string reason) const {
    TensorParams params{scale, zero_point, scheme, {}, std::move(reason), bits_};
    params.range = {scale * double(0 - zero_point), scale * double(last_ - zero_point)};
    return params;
  }

  int bits_;
  int32_t last_, middle_;
};

// 2^29: the bias may take a quarter of int32, which leaves room for the sum and the other
// constants.
constexpr double kLargestBias = 1 << 29;

double RepresentableScale(double scale, size_t channel,
                          const std::vector<double>& bias_in_input_steps, double smallest_scale) {
  scale = std::max(scale, smallest_scale);
  if (bias_in_input_steps.empty()) return scale;
  return std::max(scale, std::abs(bias_in_input_steps[channel]) / kLargestBias);
}

int8_t NearestLevel(double value) {
  return static_cast<int8_t>(std::clamp(std::nearbyint(value), -127.0, 127.0));
}

}  // namespace

Result<SchemePolicy> ParseSchemePolicy(std::string_view text, std::string_view field) {
  if (text == "hybrid") return SchemePolicy::kHybrid;
  if (text == "symmetric") return SchemePolicy::kSymmetric;
  if (text == "asymmetric") return SchemePolicy::kAsymmetric;
  return InvalidField(std::string(field),
                      "unknown scheme \"{}\"; allowed are hybrid, symmetric, asymmetric", text);
}

Result<WeightGranularity> ParseWeightGranularity(std::string_view text, std::string_view field) {
  if (text == "per_channel") return WeightGranularity::kPerChannel;
  if (text == "per_tensor") return WeightGranularity::kPerTensor;
  return InvalidField(std::string(field),
                      "unknown granularity \"{}\"; allowed are per_channel, per_tensor", text);
}

std::string_view TensorSchemeName(TensorScheme scheme) {
  switch (scheme) {
    case TensorScheme::kSymmetric:
      return "symmetric";
    case TensorScheme::kAsymmetric:
      return "asymmetric";
    case TensorScheme::kOneSided:
      return "one_sided";
  }
  return "asymmetric";
}

Result<TensorParams> ChooseTensorParams(Range observed, SchemePolicy policy, const HybridRule& rule,
                                        int bits) {
  const Levels levels(bits);
  if (!std::isfinite(observed.low) || !std::isfinite(observed.high) ||
      observed.low > observed.high) {
    return InvalidArgument("the range [{}, {}] is not finite", observed.low, observed.high);
  }
  const Range range{std::min(observed.low, 0.0), std::max(observed.high, 0.0)};
  if (range.low == 0 && range.high == 0) {
    return levels.AllZero(policy == SchemePolicy::kSymmetric);
  }
  if (policy == SchemePolicy::kSymmetric) return levels.Symmetric(range, "asked for");
  if (policy == SchemePolicy::kAsymmetric) return levels.Asymmetric(range, "asked for");
  if (range.low == 0) return levels.Asymmetric(range, "nothing below zero");

  const double loss_db =
      20 * std::log10(levels.SymmetricScale(range) / levels.AsymmetricScale(range));
  if (loss_db < rule.symmetric_tolerance_db) {
    return levels.Symmetric(
        range, fmt::format("symmetric costs {:.2f} dB, under the tolerance of {:.2f} dB", loss_db,
                           rule.symmetric_tolerance_db));
  }
  return levels.Asymmetric(
      range, fmt::format("symmetric would cost {:.2f} dB, over the tolerance of {:.2f} dB", loss_db,
                         rule.symmetric_tolerance_db));
}

QuantizedWeights QuantizeWeights(const std::vector<float>& weights, int64_t channels,
                                 WeightGranularity granularity,
                                 const std::vector<double>& bias_in_input_steps,
                                 double smallest_scale) {
  const int64_t per_channel = static_cast<int64_t>(weights.size()) / channels;
  QuantizedWeights quantized;
  quantized.scales.resize(channels);
  for (int64_t c = 0; c < channels; ++c) {
    double largest = 0;
    for (int64_t i = 0; i < per_channel; ++i) {
      largest = std::max(largest, std::abs(double(weights[c * per_channel + i])));
    }
    quantized.scales[c] = largest / 127;
  }
  if (granularity == WeightGranularity::kPerTensor) {
    const double shared = *std::max_element(quantized.scales.begin(), quantized.scales.end());
    std::fill(quantized.scales.begin(), quantized.scales.end(), shared);
  }
  for (int64_t c = 0; c < channels; ++c) {
    quantized.scales[c] =
        RepresentableScale(quantized.scales[c], c, bias_in_input_steps, smallest_scale);
  }
  quantized.values.resize(weights.size());
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t i = c * per_channel; i < (c + 1) * per_channel; ++i) {
      quantized.values[i] = NearestLevel(weights[i] / quantized.scales[c]);
    }
  }
  return quantized;
}

QuantizedWeights KeepRepresentable(QuantizedWeights weights,
                                   const std::vector<double>& bias_in_input_steps,
                                   double smallest_scale) {
  const size_t channels = weights.scales.size(), per_channel = weights.values.size() / channels;
  for (size_t c = 0; c < channels; ++c) {
    const double scale =
        RepresentableScale(weights.scales[c], c, bias_in_input_steps, smallest_scale);
    if (scale == weights.scales[c]) continue;
    for (size_t i = c * per_channel; i < (c + 1) * per_channel; ++i) {
      weights.values[i] = NearestLevel(weights.values[i] * weights.scales[c] / scale);
    }
    weights.scales[c] = scale;
  }
  return weights;
}

}  // namespace haq::quant
