#include "core/import/images/pooling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace haq::import {
namespace {

using testing::ElementsAre;

TEST(PoolingTest, MaximaReadBeyondThePaddingOrNotToItsEnd) {
  // 3 windows of 3 in steps of 2 over 6 places end at 7; one more of padding is not read.
  const ir::MaxPool2d pool = MaxPoolOf(
      {.kernel = {3, 3}, .stride = {2, 2}, .before = {0, 1}, .after = {2, 2}, .outputs = {3, 3}},
      {1, 1, 6, 6});
  EXPECT_EQ(pool.padding, (ir::Padding2d{0, 1, 1, 0}));
}

TEST(PoolingTest, AveragesAreCutToTheInput) {
  const Windows windows{
      .kernel = {3, 1}, .stride = {2, 1}, .before = {1, 0}, .after = {1, 0}, .outputs = {3, 4}};
  const AveragePool without = AveragePoolOf(windows, {1, 1, 5, 4}, false);
  EXPECT_FALSE(without.pad);
  EXPECT_THAT(without.pool.row_begin, ElementsAre(0, 1, 3));
  EXPECT_THAT(without.pool.row_end, ElementsAre(2, 4, 5));
  EXPECT_EQ(without.pool.divisor, 0);
  EXPECT_EQ(AveragePoolOf(windows, {1, 1, 5, 4}, true).pool.divisor, 3);
}

TEST(PoolingTest, WindowsThatCeilModeLetsOverhangDivideByWhatIsInside) {
  const Windows windows{
      .kernel = {3, 3}, .stride = {2, 2}, .before = {1, 0}, .after = {0, 0}, .outputs = {3, 2}};
  const AveragePool average = AveragePoolOf(windows, {1, 2, 5, 4}, true);
  ASSERT_TRUE(average.pad);
  EXPECT_THAT(average.pad->before, ElementsAre(0, 0, 1, 0));
  EXPECT_THAT(average.pool.row_end, ElementsAre(3, 5, 6));
  EXPECT_THAT(average.pool.column_end, ElementsAre(3, 4));
  EXPECT_EQ(average.pool.divisor, 0);
  EXPECT_FALSE(AveragePoolOf(windows, {1, 2, 5, 4}, false).pad);
}

TEST(PoolingTest, ReductionsArePoolsOfRows) {
  const Reduction channels = ReductionOf({1, 4, 2, 3}, 1, 1, 0);
  EXPECT_EQ(channels.folded, (ir::Shape{1, 1, 4, 6}));
  EXPECT_THAT(channels.pool.row_end, ElementsAre(4));
  EXPECT_EQ(channels.pool.column_end.size(), 6u);
  const Reduction space = ReductionOf({1, 4, 2, 3}, 2, 3, 1);
  EXPECT_EQ(space.folded, (ir::Shape{1, 4, 2, 3}));
  EXPECT_THAT(space.pool.column_end, ElementsAre(3));
  EXPECT_EQ(space.pool.divisor, 1);
  const Reduction columns = ReductionOf({1, 4, 2, 3}, 3, 3, 0);
  EXPECT_EQ(columns.pool.row_end.size(), 2u);
  EXPECT_EQ(columns.pool.column_end.size(), 1u);
}

}  // namespace
}  // namespace haq::import
