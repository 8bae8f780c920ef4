#include "core/quant/params.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace haq::quant {
namespace {

TEST(ChooseTensorParams, ZeroIsExactAndTheRangeIsCoveredUnderEveryPolicy) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> exponent(-6, 4), sign(-1, 1);
  for (int i = 0; i < 2000; ++i) {
    double a = sign(random) * std::pow(10, exponent(random));
    double b = sign(random) * std::pow(10, exponent(random));
    if (a > b) std::swap(a, b);
    for (const auto policy :
         {SchemePolicy::kHybrid, SchemePolicy::kSymmetric, SchemePolicy::kAsymmetric}) {
      const auto params = ChooseTensorParams({a, b}, policy);
      ASSERT_TRUE(params.ok());
      ASSERT_GE(params->zero_point, 0);
      ASSERT_LE(params->zero_point, 255);
      // The rounded zero point shifts the range by at most half a step.
      const double slack = 0.5001 * params->scale;
      EXPECT_LE(params->range.low, std::min(a, 0.0) + slack);
      EXPECT_GE(params->range.high, std::max(b, 0.0) - slack);
    }
  }
}

TEST(ChooseTensorParams, HybridFollowsItsRule) {
  const auto one_sided = *ChooseTensorParams({0, 6}, SchemePolicy::kHybrid);
  EXPECT_EQ(one_sided.scheme, TensorScheme::kOneSided);
  EXPECT_EQ(one_sided.zero_point, 0);
  EXPECT_FLOAT_EQ(one_sided.scale, 6.0f / 255);

  EXPECT_EQ(ChooseTensorParams({-1, 1}, SchemePolicy::kHybrid)->scheme, TensorScheme::kSymmetric);
  const auto skewed = *ChooseTensorParams({-1, 3}, SchemePolicy::kHybrid);
  EXPECT_EQ(skewed.scheme, TensorScheme::kAsymmetric);
  EXPECT_EQ(skewed.zero_point, 64);
  // The tolerance decides: -1 .. 1.2 costs 20 log10(1.2 / 127 * 255 / 2.2) = 0.79 dB.
  EXPECT_EQ(ChooseTensorParams({-1, 1.2}, SchemePolicy::kHybrid, {0.7})->scheme,
            TensorScheme::kAsymmetric);
  EXPECT_EQ(ChooseTensorParams({-1, 1.2}, SchemePolicy::kHybrid, {0.9})->scheme,
            TensorScheme::kSymmetric);
}

TEST(ChooseTensorParams, BaselinesDoNotBend) {
  EXPECT_EQ(ChooseTensorParams({0, 6}, SchemePolicy::kSymmetric)->zero_point, 128);
  EXPECT_EQ(ChooseTensorParams({-1, 1}, SchemePolicy::kAsymmetric)->scheme,
            TensorScheme::kAsymmetric);
}

TEST(ChooseTensorParams, OddRanges) {
  EXPECT_TRUE(ChooseTensorParams({0, 0}, SchemePolicy::kHybrid).ok());
  const auto constant = *ChooseTensorParams({5, 5}, SchemePolicy::kHybrid);
  EXPECT_NEAR(constant.scale * (255 - constant.zero_point), 5, 1e-5);
  const auto negative = *ChooseTensorParams({-4, -2}, SchemePolicy::kAsymmetric);
  EXPECT_EQ(negative.zero_point, 255);
  EXPECT_GT(ChooseTensorParams({0, 1e-44}, SchemePolicy::kHybrid)->scale, 0);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(ChooseTensorParams({0, nan}, SchemePolicy::kHybrid).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_FALSE(
      ChooseTensorParams({0, std::numeric_limits<double>::infinity()}, SchemePolicy::kHybrid).ok());
}

TEST(QuantizeWeights, PerChannelUsesAllLevelsOfEveryChannel) {
  const std::vector<float> weights = {1.1f, -2, 0.5f, 100, 25, -52};
  const auto per_channel = QuantizeWeights(weights, 2, WeightGranularity::kPerChannel, {}, 1e-30);
  EXPECT_EQ(per_channel.values, (std::vector<int8_t>{70, -127, 32, 127, 32, -66}));
  const auto per_tensor = QuantizeWeights(weights, 2, WeightGranularity::kPerTensor, {}, 1e-30);
  EXPECT_EQ(per_tensor.values, (std::vector<int8_t>{1, -3, 1, 127, 32, -66}));
  EXPECT_EQ(per_tensor.scales[0], per_tensor.scales[1]);
}

TEST(QuantizeWeights, ADeadChannelKeepsItsBiasRepresentable) {
  const auto quantized =
      QuantizeWeights({0, 0, 1, 1}, 2, WeightGranularity::kPerChannel, {1e6, 0}, 1e-12);
  EXPECT_LE(1e6 / quantized.scales[0], 1 << 30);
  EXPECT_DOUBLE_EQ(quantized.scales[1], 1.0 / 127);
}

TEST(KeepRepresentable, ChangesOnlyChannelsWhoseScaleIsTooSmall) {
  const QuantizedWeights chosen{{100, -3, 100, -3}, {0.5, 0.5}};
  const auto same = KeepRepresentable(chosen, {1e6, -1e6}, 0.1);
  EXPECT_EQ(same.values, chosen.values);
  EXPECT_EQ(same.scales, chosen.scales);
  const double bias = 2.0 * (1 << 29);
  const auto raised = KeepRepresentable(chosen, {0, -bias}, 0.1);
  EXPECT_EQ(raised.values, (std::vector<int8_t>{100, -3, 25, -1}));
  EXPECT_EQ(raised.scales, (std::vector<double>{0.5, 2}));
  EXPECT_EQ(KeepRepresentable(chosen, {}, 1).scales, (std::vector<double>{1, 1}));
}

TEST(Parse, UnknownNamesListWhatExists) {
  const Status status = ParseSchemePolicy("mixed").status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "scheme: unknown scheme \"mixed\"; allowed are hybrid, symmetric, asymmetric");
  EXPECT_FALSE(ParseWeightGranularity("per_row").ok());
}

}  // namespace
}  // namespace haq::quant
