#include "core/calib/range_methods.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/calib/observer.h"
#include "tests/support/seed.h"
#include "tests/unit/core/calib/distributions.h"

namespace haq::calib {
namespace {

constexpr quant::SchemePolicy kPolicies[] = {quant::SchemePolicy::kHybrid,
                                             quant::SchemePolicy::kSymmetric,
                                             quant::SchemePolicy::kAsymmetric};

TensorSummary SummaryOf(std::span<const float> values) {
  TensorSummary summary;
  summary.Observe(values);
  return summary;
}

// Of the scale and zero point that a range leads to.
double ErrorOf(const Distribution& distribution, const quant::Range& range,
               const ChoiceContext& context) {
  const auto params = quant::ChooseTensorParams(range, context.policy, context.rule);
  return distribution.ExpectedSquaredError(params->scale, params->zero_point);
}

class MethodsOnEvery : public testing::TestWithParam<NamedValues> {
 protected:
  MethodsOnEvery() : summary_(SummaryOf(GetParam().values)), distribution_(summary_) {}
  double Width() const { return std::max(summary_.high(), 0.0f) - std::min(summary_.low(), 0.0f); }
  TensorSummary summary_;
  Distribution distribution_;
};

TEST_P(MethodsOnEvery, EveryMethodGivesARangeThatCanBeUsed) {
  for (const std::string& method : MethodNames()) {
    SCOPED_TRACE(method);
    const auto range = ChooseRange(method, summary_);
    ASSERT_TRUE(range.ok()) << range.status().ToString();
    EXPECT_TRUE(std::isfinite(range->low) && std::isfinite(range->high));
    EXPECT_LE(range->low, range->high);
    const auto params = quant::ChooseTensorParams(*range, quant::SchemePolicy::kHybrid);
    ASSERT_TRUE(params.ok()) << params.status().ToString();
    EXPECT_TRUE(std::isnormal(params->scale));
    if (method == "redistribution") continue;  // may end up to a step beyond
    const double step = params->scale;
    EXPECT_GE(range->low, std::min(double(summary_.low()), 0.0) - 1e-6 * step);
    EXPECT_LE(range->high, std::max(double(summary_.high()), 0.0) + 1e-6 * step);
  }
}

TEST_P(MethodsOnEvery, RedistributionExpectsTheLeastError) {
  for (const quant::SchemePolicy policy :
       {quant::SchemePolicy::kSymmetric, quant::SchemePolicy::kAsymmetric}) {
    const ChoiceContext context{policy, {}};
    const double own = ErrorOf(distribution_, RedistributionRange(distribution_, context), context);
    for (const std::string& method : MethodNames()) {
      const double other = ErrorOf(distribution_, *ChooseRange(method, summary_), context);
      const double step = Width() / 255;
      EXPECT_LE(own, other * 1.0001 + 1e-6 * step * step)
          << method << ", policy " << static_cast<int>(policy);
    }
  }
}

TEST_P(MethodsOnEvery, HybridIsSymmetricWhereThatCostsLittle) {
  if (Width() < 1e-25) return;  // next to the smallest scale all choices are the same
  const ChoiceContext context;
  const auto error = [&](quant::SchemePolicy policy) {
    const ChoiceContext other{policy, {}};
    return ErrorOf(distribution_, RedistributionRange(distribution_, other), other);
  };
  const double symmetric = error(quant::SchemePolicy::kSymmetric);
  const double asymmetric = error(quant::SchemePolicy::kAsymmetric);
  const quant::Range range = RedistributionRange(distribution_, context);
  const auto params = quant::ChooseTensorParams(range, context.policy, context.rule);
  const double own = ErrorOf(distribution_, range, context);
  if (params->scheme == quant::TensorScheme::kSymmetric) {
    EXPECT_EQ(own, symmetric);
  } else {
    EXPECT_EQ(own, asymmetric);
    const bool one_sided = distribution_.low() >= 0;
    EXPECT_TRUE(one_sided ||
                symmetric >=
                    std::pow(10, quant::HybridRule{}.symmetric_tolerance_db / 10) * asymmetric);
  }
}

TEST_P(MethodsOnEvery, RedistributionIsDeterministicAndComesBackUnchanged) {
  for (const quant::SchemePolicy policy : kPolicies) {
    const ChoiceContext context{policy, {}};
    const quant::Range range = RedistributionRange(distribution_, context);
    EXPECT_EQ(range, RedistributionRange(Distribution(summary_), context));
    const auto params = quant::ChooseTensorParams(range, policy, {});
    const auto again = quant::ChooseTensorParams(params->range, policy, {});
    EXPECT_EQ(params->scale, again->scale);
    EXPECT_EQ(params->zero_point, again->zero_point);
  }
}

INSTANTIATE_TEST_SUITE_P(Tensors, MethodsOnEvery,
                         testing::ValuesIn(ManyDistributions(50'000, test::Seed())),
                         [](const auto& info) { return info.param.name; });

// Every zero point and a fine grid of scales, by the same expected error.
TEST(Redistribution, FindsWhatExhaustiveSearchFinds) {
  for (const NamedValues& named : ManyDistributions(3'000, test::Seed())) {
    SCOPED_TRACE(named.name);
    const TensorSummary summary = SummaryOf(named.values);
    const Distribution distribution(summary);
    const double low = std::min(distribution.low(), 0.0), high = std::max(distribution.high(), 0.0);
    if (high - low < 1e-25) continue;
    double least = std::numeric_limits<double>::infinity();
    const double widest = (high - low) / 255;
    for (int zero_point = 0; zero_point <= 255; zero_point += zero_point == 0 ? 3 : 6) {
      for (double scale = 1.04 * widest; scale > 0.02 * widest; scale *= 0.98) {
        least = std::min(least, distribution.ExpectedSquaredError(scale, zero_point));
      }
    }
    const ChoiceContext context{quant::SchemePolicy::kAsymmetric, {}};
    const double found = ErrorOf(distribution, RedistributionRange(distribution, context), context);
    EXPECT_LE(found, 1.001 * least);
  }
}

TEST(Redistribution, MovesTheZeroPointWhereThatSavesTheLevels) {
  // The range of [-1, 1] pixels has its zero in the middle of two levels: every pixel would be half
  // a step off.
  std::vector<float> pixels(256);
  for (int i = 0; i < 256; ++i) pixels[i] = static_cast<float>((i - 127.5) / 127.5);
  const TensorSummary summary = SummaryOf(pixels);
  const Distribution distribution(summary);
  const ChoiceContext context{quant::SchemePolicy::kAsymmetric, {}};
  const double own = ErrorOf(distribution, RedistributionRange(distribution, context), context);
  EXPECT_LT(own, 0.5 * ErrorOf(distribution, {-1, 1}, context));
}

TEST(Percentile, CutsTheSameShareOffEitherEnd) {
  std::vector<float> values(100'001);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) - 50'000;
  const TensorSummary summary = SummaryOf(values);
  const quant::Range range = PercentileRange(Distribution(summary), 0.98);
  EXPECT_NEAR(range.low, -49'000, 10);
  EXPECT_NEAR(range.high, 49'000, 10);
  const quant::Range by_default = *ChooseRange("percentile", summary);
  EXPECT_NEAR(by_default.high, 50'000, 10);
}

// KL divergence by the definition, bin for bin.
double DivergenceOf(const std::vector<double>& histogram, int size) {
  std::vector<double> p(histogram.begin(), histogram.begin() + size), q(size);
  for (size_t i = size; i < histogram.size(); ++i) p[size - 1] += histogram[i];
  for (int level = 0; level < 256; ++level) {
    const int from = level * size / 256, to = (level + 1) * size / 256;
    double mass = 0, occupied = 0;
    for (int i = from; i < to; ++i) {
      mass += histogram[i];
      occupied += p[i] > 0;
    }
    for (int i = from; i < to; ++i) q[i] = p[i] > 0 ? std::max(mass / occupied, 1e-4) : 0;
  }
  double p_sum = 0, inside = 0, divergence = 0;
  for (const double mass : p) p_sum += mass;
  for (int i = 0; i < size; ++i) inside += histogram[i];
  for (int i = 0; i < size; ++i) {
    if (p[i] > 0) divergence += p[i] / p_sum * std::log(p[i] / p_sum / (q[i] / inside));
  }
  return divergence;
}

TEST(Entropy, MinimizesTheDivergence) {
  for (const char* name : {"relu", "exponential", "lognormal"}) {
    for (const NamedValues& named : ManyDistributions(50'000, test::Seed())) {
      if (named.name != name) continue;
      SCOPED_TRACE(name);
      const TensorSummary summary = SummaryOf(named.values);
      const Distribution distribution(summary);
      const auto histogram = distribution.Histogram(0, distribution.high(), 2048);
      double least = std::numeric_limits<double>::infinity();
      for (int size = 256; size <= 2048; ++size) {
        least = std::min(least, DivergenceOf(histogram, size));
      }
      const quant::Range range = EntropyRange(distribution);
      EXPECT_EQ(range.low, 0);
      const double size = std::round(range.high / distribution.high() * 2048);
      EXPECT_NEAR(range.high, distribution.high() * size / 2048, 1e-9 * distribution.high());
      // Of sizes that are as good within rounding either may be chosen.
      EXPECT_NEAR(DivergenceOf(histogram, static_cast<int>(size)), least, 1e-9);
    }
  }
}

TEST(Entropy, KeepsValuesThatHaveNoTails) {
  const TensorSummary summary = SummaryOf(ManyDistributions(50'000, test::Seed())[9].values);
  const quant::Range range = EntropyRange(Distribution(summary));  // uniform in [-1, 1]
  EXPECT_LT(range.low, -0.95);
  EXPECT_GT(range.high, 0.95);
}

TEST(ChooseRange, MinMaxIsTheSmallestAndTheLargest) {
  const float values[] = {1, -2, 3, 0.5f, -7};
  EXPECT_EQ(*ChooseRange("minmax", SummaryOf(values)), (quant::Range{-7, 3}));
}

TEST(ChooseRange, SaysWhatIsWrong) {
  const float values[] = {1, std::nanf(""), 2};
  for (const std::string& method : MethodNames()) {
    EXPECT_EQ(ChooseRange(method, {}).status().code(), StatusCode::kFailedPrecondition);
    const Status status = ChooseRange(method, SummaryOf(values)).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(status.message(), "1 of 3 values are NaN or infinite");
  }
  const Status status = ChooseRange("magic", SummaryOf(values)).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "method: unknown method \"magic\"; allowed are redistribution, minmax, moving_minmax, "
            "histogram, percentile, kl");
  EXPECT_EQ(CheckMethod("magic").message(), status.message());
}

}  // namespace
}  // namespace haq::calib
