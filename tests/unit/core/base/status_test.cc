#include "core/base/status.h"

#include <gtest/gtest.h>

namespace haq {
namespace {

Result<int> Half(int x) {
  if (x % 2) return InvalidField("x", "must be even, got {}", x);
  return x / 2;
}
Result<int> Quarter(int x) {
  HAQ_ASSIGN_OR_RETURN(const int half, Half(x));
  return Half(half);
}

TEST(Status, MessageAndFieldSurvivePropagation) {
  const Result<int> quarter = Quarter(6);
  ASSERT_FALSE(quarter.ok());
  EXPECT_EQ(quarter.status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(quarter.status().message(), "x: must be even, got 3");
  ASSERT_EQ(quarter.status().fields().size(), 1u);
  EXPECT_EQ(quarter.status().fields()[0].field, "x");
  EXPECT_EQ(*Quarter(8), 2);
}

TEST(Status, ContextGoesBeforeTheMessageAndKeepsTheRest) {
  const Status status = InvalidField("a", "is wrong").WithContext("layer 3");
  EXPECT_EQ(status.ToString(), "INVALID_ARGUMENT: layer 3: a: is wrong");
  EXPECT_EQ(status.fields().size(), 1u);
  EXPECT_TRUE(Status().WithContext("nothing").ok());
}

TEST(StatusDeathTest, ReadingAFailureAborts) {
  EXPECT_DEATH((void)Quarter(6).value(), "must be even");
}

}  // namespace
}  // namespace haq
