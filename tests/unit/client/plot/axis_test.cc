#include "client/plot/axis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace haq::plot {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

TEST(Axis, PlacesValuesEitherWayRound) {
  const Axis up(0, 10, 200, 100);
  EXPECT_DOUBLE_EQ(up.At(0), 200);
  EXPECT_DOUBLE_EQ(up.At(10), 100);
  EXPECT_DOUBLE_EQ(up.At(2.5), 175);
}

TEST(Axis, OneValueHasRoomAroundIt) {
  const Axis axis(4, 4, 0, 100);
  EXPECT_DOUBLE_EQ(axis.At(4), 50);
  EXPECT_FALSE(axis.Ticks(5).empty());
  EXPECT_DOUBLE_EQ(Axis(0, 0, 0, 100).At(0), 50);
}

TEST(Axis, TicksAreRoundNumbersWithin) {
  EXPECT_THAT(Axis(0, 96, 0, 1).Ticks(5), ElementsAre(0, 20, 40, 60, 80));
  EXPECT_THAT(Axis(-1.2, 0.9, 0, 1).Ticks(5), ElementsAre(-1, -0.5, DoubleNear(0, 1e-12), 0.5));
  EXPECT_THAT(Axis(0.011, 0.039, 0, 1).Ticks(3),
              ElementsAre(DoubleNear(0.02, 1e-12), DoubleNear(0.03, 1e-12)));
}

TEST(TickLabels, HaveTheDigitsOfTheStep) {
  EXPECT_THAT(TickLabels({0, 20, 40}), ElementsAre("0", "20", "40"));
  EXPECT_THAT(TickLabels({-0.5, 0, 0.5}), ElementsAre("-0.5", "0.0", "0.5"));
  EXPECT_THAT(TickLabels({0, 0.02}), ElementsAre("0.00", "0.02"));
  EXPECT_THAT(TickLabels({0, 2e7}), ElementsAre("0", "2e+07"));
}

TEST(CountLabel, IsShort) {
  EXPECT_EQ(CountLabel(1), "1");
  EXPECT_EQ(CountLabel(100), "100");
  EXPECT_EQ(CountLabel(10'000), "10k");
  EXPECT_EQ(CountLabel(1e6), "1M");
}

}  // namespace
}  // namespace haq::plot
