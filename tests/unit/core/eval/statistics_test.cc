#include "core/eval/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "tests/support/seed.h"

namespace haq::eval {
namespace {

// R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in
// Medicine 17 (1998), table I, method 3.
TEST(WilsonInterval, GivesThePublishedValues) {
  const struct {
    int64_t successes, trials;
    double low, high;
  } cases[] = {{81, 263, 0.2553, 0.3662},
               {15, 148, 0.0624, 0.1605},
               {0, 20, 0, 0.1611},
               {1, 29, 0.0061, 0.1718}};
  for (const auto& each : cases) {
    const Interval interval = WilsonInterval(each.successes, each.trials);
    EXPECT_NEAR(interval.low, each.low, 5e-5) << each.successes;
    EXPECT_NEAR(interval.high, each.high, 5e-5) << each.successes;
  }
}

TEST(WilsonInterval, MirrorsAndStaysWithinItsBounds) {
  for (const int64_t n : {1, 7, 5000}) {
    EXPECT_EQ(WilsonInterval(0, n).low, 0);
    EXPECT_EQ(WilsonInterval(n, n).high, 1);
    EXPECT_NEAR(WilsonInterval(n, n).low, 1 - WilsonInterval(0, n).high, 1e-12);
  }
  EXPECT_TRUE(std::isnan(WilsonInterval(0, 0).low));
}

// M. W. Fagerland, S. Lydersen, P. Laake, "Recommended tests and confidence intervals for paired
// binomial proportions", Statistics in Medicine 33 (2014): airway hyper-responsiveness before and
// after transplantation, 21 patients, 1 and 7 of them discordant.
constexpr PairedCounts kAirways{21, 7, 1};

TEST(PairedDifferenceInterval, GivesThePublishedValues) {
  const Interval interval = PairedDifferenceInterval(kAirways);
  EXPECT_NEAR(interval.low, -0.508, 5e-4);
  EXPECT_NEAR(interval.high, -0.013, 5e-4);
}

TEST(PairedDifferenceInterval, ChangesItsSignWithTheOrder) {
  const Interval one = PairedDifferenceInterval({500, 12, 7}),
                 other = PairedDifferenceInterval({500, 7, 12});
  EXPECT_DOUBLE_EQ(one.low, -other.high);
  EXPECT_DOUBLE_EQ(one.high, -other.low);
  EXPECT_LT(one.low, -5.0 / 500);
  EXPECT_GT(one.high, -5.0 / 500);
}

TEST(PairedDifferenceInterval, NoDifferenceSeenIsNotNoneThere) {
  const Interval interval = PairedDifferenceInterval({500, 0, 0});
  EXPECT_DOUBLE_EQ(interval.low, -interval.high);
  EXPECT_NEAR(interval.high, 1.95996 * std::sqrt(2.0) / 502, 1e-7);
  EXPECT_EQ(PairedDifferenceInterval({1, 0, 1}).high, 1) << "cut to what is possible";
  EXPECT_TRUE(std::isnan(PairedDifferenceInterval({}).low));
}

TEST(McNemarExact, GivesThePublishedValue) { EXPECT_NEAR(McNemarExact(kAirways), 0.0703, 5e-5); }

// From sums of whole binomial coefficients.
TEST(McNemarExact, EqualsTheBinomialSum) {
  EXPECT_EQ(McNemarExact({100, 0, 0}), 1);
  EXPECT_EQ(McNemarExact({100, 3, 3}), 1);
  EXPECT_NEAR(McNemarExact({100, 0, 1}), 1, 1e-12);
  EXPECT_NEAR(McNemarExact({100, 5, 0}), 0.0625, 1e-12);
  EXPECT_NEAR(McNemarExact({100, 10, 20}), 0.09873714670538902, 1e-12);
  EXPECT_NEAR(McNemarExact({100, 20, 10}), 0.09873714670538902, 1e-12);
  EXPECT_NEAR(McNemarExact({5000, 150, 86}), 3.715936139571442e-05, 1e-14);
  EXPECT_NEAR(McNemarExact({50'000, 1500, 1600}), 0.07537169707532781, 1e-9);
}

TEST(DecibelRatioInterval, FollowsItsFormula) {
  const std::vector<float> signal{1, 3}, noise{1, 1};
  const Interval interval = DecibelRatioInterval(signal, noise);
  const double half = 1.959963984540054 * 10 / std::log(10.0) * 0.5;  // sqrt(2 / 1 * 2 * 0.25^2)
  EXPECT_NEAR(interval.low, 10 * std::log10(2.0) - half, 1e-9);
  EXPECT_NEAR(interval.high, 10 * std::log10(2.0) + half, 1e-9);
  const Interval turned = DecibelRatioInterval(noise, signal);
  EXPECT_NEAR(turned.low, -interval.high, 1e-9);
}

TEST(DecibelRatioInterval, IsNarrowWhereTheRatioIsTheSameForEveryImage) {
  const std::vector<float> noise{1, 5, 2, 8}, half{0.5, 2.5, 1, 4};
  const Interval better = DecibelRatioInterval(noise, half);
  EXPECT_NEAR(better.low, 10 * std::log10(2.0), 1e-9);
  EXPECT_NEAR(better.high, 10 * std::log10(2.0), 1e-9);
}

TEST(DecibelRatioInterval, HoldsTheTruthInAbout95OfAHundredSamples) {
  std::mt19937_64 random(test::Seed());
  std::lognormal_distribution<float> size(0, 0.5);
  const double truth = 10 * std::log10(4.0);  // independent, four times as large
  int held = 0;
  for (int sample = 0; sample < 2000; ++sample) {
    std::vector<float> signal, noise;
    for (int image = 0; image < 100; ++image) {
      signal.push_back(4 * size(random));
      noise.push_back(size(random));
    }
    const Interval interval = DecibelRatioInterval(signal, noise);
    held += interval.low <= truth && truth <= interval.high;
  }
  EXPECT_GT(held, 1840);
  EXPECT_LT(held, 1950);
}

TEST(DecibelRatioInterval, IsNoFigureWithoutTwoImagesOrWithoutNoise) {
  EXPECT_TRUE(std::isnan(DecibelRatioInterval({}, {}).low));
  const std::vector<float> one{1}, two{1, 2}, none{0, 0};
  EXPECT_TRUE(std::isnan(DecibelRatioInterval(one, one).low));
  EXPECT_TRUE(std::isnan(DecibelRatioInterval(two, none).high));
}

}  // namespace
}  // namespace haq::eval
