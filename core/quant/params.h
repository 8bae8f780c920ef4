// From a tensor's range to its scale and zero point: the integer contract and the hybrid rule.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace haq::quant {

// A job's choice. Hybrid decides between the other two for every tensor.
enum class SchemePolicy { kHybrid, kSymmetric, kAsymmetric };
enum class WeightGranularity { kPerChannel, kPerTensor };

// "hybrid", "symmetric", "asymmetric"; kInvalidArgument on field `field` lists them.
Result<SchemePolicy> ParseSchemePolicy(std::string_view text, std::string_view field = "scheme");
// "per_channel", "per_tensor".
Result<WeightGranularity> ParseWeightGranularity(std::string_view text,
                                                 std::string_view field = "weights");

// What one tensor got.
enum class TensorScheme {
  kSymmetric,   // zero point 128, or 32768 of 16 bits
  kAsymmetric,  // zero point anywhere
  kOneSided,    // asymmetric with zero point 0: nothing is below zero
};
std::string_view TensorSchemeName(TensorScheme scheme);

// Smallest and largest real value that a tensor is to represent.
struct Range {
  double low = 0, high = 0;
  bool operator==(const Range&) const = default;
};

// The highest level of that many bits, 8 or 16.
constexpr int32_t LastLevel(int bits) { return (1 << bits) - 1; }

// real = scale * (q - zero_point), q and zero_point in [0, LastLevel(bits)].
struct TensorParams {
  float scale = 1;
  int32_t zero_point = 0;
  TensorScheme scheme = TensorScheme::kAsymmetric;
  Range
      range;  // what the levels represent: scale * (0 - zero_point) .. scale * (last - zero_point)
  std::string reason;  // for the report
  int bits = 8;
  int32_t last_level() const { return LastLevel(bits); }
};

// The hybrid rule: a two-sided tensor becomes symmetric when that raises its rounding noise by less
// than `symmetric_tolerance_db` over the asymmetric range (noise power goes with the square of the
// scale).
struct HybridRule {
  double symmetric_tolerance_db = 0.1;
};

// `observed` is widened to contain 0. A constant or all-zero tensor gets a range that represents
// its value. kInvalidArgument for a range that is not finite. `bits` is 8 or 16.
Result<TensorParams> ChooseTensorParams(Range observed, SchemePolicy policy,
                                        const HybridRule& rule = {}, int bits = 8);

// Symmetric signed 8-bit weights, w = scale[channel] * q, q in [-127, 127].
struct QuantizedWeights {
  std::vector<int8_t> values;  // same order as the input
  std::vector<double> scales;  // one per output channel, also when they are all equal
};

// `weights` is [channels, ...] row-major. `bias_in_input_steps[c]` is the channel's bias divided by
// the scale of the layer's input (or empty): the scale is raised where the bias would need more
// than 30 bits otherwise, and to `smallest_scale`, below which requantization has no multiplier
// (both only for channels whose weights are next to nothing).
QuantizedWeights QuantizeWeights(const std::vector<float>& weights, int64_t channels,
                                 WeightGranularity granularity,
                                 const std::vector<double>& bias_in_input_steps,
                                 double smallest_scale);

// Makes integers that were chosen elsewhere, on the scales of QuantizeWeights, keep its two lower
// bounds of a scale: a channel whose bias changed since may need a larger one, and its weights are
// rounded to that.
QuantizedWeights KeepRepresentable(QuantizedWeights weights,
                                   const std::vector<double>& bias_in_input_steps,
                                   double smallest_scale);

}  // namespace haq::quant
