#include "core/calib/distribution.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/seed.h"
#include "tests/unit/core/calib/distributions.h"

namespace haq::calib {
namespace {

double TrueSquaredError(const std::vector<float>& values, double scale, int zero_point) {
  double error = 0;
  for (const double value : values) {
    const double q = std::clamp(std::nearbyint(value / scale) + zero_point, 0.0, 255.0);
    const double difference = value - scale * (q - zero_point);
    error += difference * difference;
  }
  return error / static_cast<double>(values.size());
}

class MomentsOfEvery : public testing::TestWithParam<NamedValues> {
 protected:
  MomentsOfEvery() { summary_.Observe(GetParam().values); }
  TensorSummary summary_;
};

// From ranges that are far too wide to such that clip nearly everything.
TEST_P(MomentsOfEvery, ExpectedSquaredErrorIsThatOfTheValues) {
  const Distribution distribution(summary_);
  const double reach = std::max(-distribution.low(), distribution.high());
  if (reach < 1e-35) return;  // all in one cell, and no scale is that small
  for (const int zero_point : {0, 1, 77, 128, 255}) {
    for (const double share : {1.5, 1.0, 0.77, 0.3, 0.01}) {
      const double scale = share * reach / 255;
      const double wanted = TrueSquaredError(GetParam().values, scale, zero_point);
      const double got = distribution.ExpectedSquaredError(scale, zero_point);
      // Values that repeat (pixels, a constant) are spread over their cell: that may be off by the
      // cell's width, a fraction of a step.
      EXPECT_NEAR(got, wanted, 0.02 * wanted + scale * scale / 100)
          << "zero point " << zero_point << ", scale " << scale;
      EXPECT_EQ(got, ExpectedSquaredError(summary_, scale, zero_point));
    }
  }
}

TEST_P(MomentsOfEvery, ClippingErrorsAreThoseOfTheValues) {
  const Distribution distribution(summary_);
  for (const double share : {1.0, 0.9, 0.4, 0.03}) {
    const double high = share * distribution.high(), low = share * distribution.low();
    double above = 0, below = 0;
    for (const double value : GetParam().values) {
      above += value > high ? (value - high) * (value - high) : 0;
      below += value < low ? (value - low) * (value - low) : 0;
    }
    const auto count = static_cast<double>(GetParam().values.size());
    // Where the tail is a few cells, their width shows.
    const double reach = std::max(-distribution.low(), distribution.high());
    const double cell = 1e-3 * reach * reach / 4096 / 4096 + 1e-40;
    EXPECT_NEAR(distribution.ClippingErrorAbove(high), above / count, 0.02 * above / count + cell);
    EXPECT_NEAR(distribution.ClippingErrorBelow(low), below / count, 0.02 * below / count + cell);
  }
}

TEST_P(MomentsOfEvery, QuantilesHaveTheirShareBelow) {
  const Distribution distribution(summary_);
  std::vector<float> sorted = GetParam().values;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(distribution.Quantile(0), distribution.low());
  EXPECT_EQ(distribution.Quantile(1), distribution.high());
  const double resolution = std::max(-distribution.low(), distribution.high()) / 4096 + 1e-36;
  for (const double fraction : {0.001, 0.2, 0.5, 0.77, 0.999}) {
    const auto rank = static_cast<size_t>(fraction * double(sorted.size()));
    const double quantile = distribution.Quantile(fraction);
    EXPECT_GE(quantile, sorted[rank - std::min<size_t>(rank, 2)] - resolution) << fraction;
    EXPECT_LE(quantile, sorted[std::min(rank + 2, sorted.size() - 1)] + resolution) << fraction;
  }
}

TEST_P(MomentsOfEvery, HistogramsHaveAllMassOnce) {
  const Distribution distribution(summary_);
  if (distribution.low() == distribution.high()) return;
  const auto histogram = distribution.Histogram(distribution.low(), distribution.high(), 100);
  double sum = distribution.zeros();
  for (const double bin : histogram) sum += bin;
  EXPECT_NEAR(sum, distribution.count(), 1e-6 * distribution.count());
}

INSTANTIATE_TEST_SUITE_P(Tensors, MomentsOfEvery,
                         testing::ValuesIn(ManyDistributions(40'000, test::Seed())),
                         [](const auto& info) { return info.param.name; });

TEST(Distribution, CountsBelow) {
  const float values[] = {-4, -1, 0, 0, 0, 2, 2, 6};
  TensorSummary summary;
  summary.Observe(values);
  const Distribution distribution(summary);
  EXPECT_EQ(distribution.count(), 8);
  EXPECT_EQ(distribution.zeros(), 3);
  EXPECT_EQ(distribution.CountBelow(-5), 0);
  EXPECT_EQ(distribution.CountBelow(-3), 1);
  EXPECT_EQ(distribution.CountBelow(-0.5), 2);
  EXPECT_EQ(distribution.CountBelow(1), 2);  // zeros apart
  EXPECT_EQ(distribution.CountBelow(5), 4);
  EXPECT_EQ(distribution.CountBelow(7), 5);
}

// An eighth of an 8-bit step is the resolution; one far value must not take it from the others.
TEST(Distribution, AFarValueDoesNotBlurTheOthers) {
  NamedValues normal = ManyDistributions(40'000, test::Seed())[0];
  normal.values.push_back(30'000);
  TensorSummary summary;
  summary.Observe(normal.values);
  const Distribution distribution(summary);
  for (const double scale : {0.02, 0.1}) {
    const double wanted = TrueSquaredError(normal.values, scale, 128);
    EXPECT_NEAR(distribution.ExpectedSquaredError(scale, 128), wanted, 1e-3 * wanted);
  }
  const double inside =
      TrueSquaredError({normal.values.begin(), normal.values.end() - 1}, 0.03, 128);
  const double clipped = (30'000 - 127 * 0.03) * (30'000 - 127 * 0.03) / 40'001;
  EXPECT_NEAR((distribution.ExpectedSquaredError(0.03, 128) - clipped) / inside, 1, 0.05);
}

}  // namespace
}  // namespace haq::calib
