#include "client/load/arrivals.h"

#include <gtest/gtest.h>

#include <cmath>

namespace haq::client::load {
namespace {

TEST(ArrivalsTest, ConstantDoesNotDrift) {
  Arrivals arrivals(Spacing::kConstant, 3, 1);
  for (int i = 0; i < 3'000'000; ++i) arrivals.Next();
  EXPECT_DOUBLE_EQ(arrivals.Next(), 1e6);
}

TEST(ArrivalsTest, PoissonHasItsRateAndItsSpread) {
  constexpr int kCount = 100'000;
  Arrivals arrivals(Spacing::kPoisson, 200, 7);
  double last = 0, squares = 0;
  for (int i = 0; i < kCount; ++i) {
    const double now = arrivals.Next();
    ASSERT_GE(now, last);
    squares += (now - last) * (now - last);
    last = now;
  }
  // An exponential distribution's deviation is its mean.
  EXPECT_NEAR(last / kCount, 1.0 / 200, 1.0 / 200 * 0.02);
  EXPECT_NEAR(std::sqrt(squares / kCount - std::pow(last / kCount, 2)), 1.0 / 200,
              1.0 / 200 * 0.03);
}

TEST(ArrivalsTest, TheSeedDecides) {
  Arrivals a(Spacing::kPoisson, 1, 1), b(Spacing::kPoisson, 1, 1), c(Spacing::kPoisson, 1, 2);
  EXPECT_EQ(a.Next(), b.Next());
  EXPECT_NE(a.Next(), c.Next());
}

}  // namespace
}  // namespace haq::client::load
