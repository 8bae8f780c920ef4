#include "client/load/summary.h"

#include <gtest/gtest.h>

#include <numeric>

namespace haq::client::load {
namespace {

TEST(SummaryTest, PercentilesAreTimesThatWereMeasured) {
  std::vector<double> seconds(1000);
  std::iota(seconds.rbegin(), seconds.rend(), 1.0);  // 1000 .. 1
  const Summary summary = Summarize(seconds);
  EXPECT_EQ(summary.count, 1000);
  EXPECT_EQ(summary.min, 1);
  EXPECT_EQ(summary.p50, 500);
  EXPECT_EQ(summary.p90, 900);
  EXPECT_EQ(summary.p95, 950);
  EXPECT_EQ(summary.p99, 990);
  EXPECT_EQ(summary.p999, 999);
  EXPECT_EQ(summary.max, 1000);
  EXPECT_EQ(summary.mean, 500.5);
}

TEST(SummaryTest, OfOneAndOfNone) {
  const Summary one = Summarize({3});
  EXPECT_EQ(one.p50, 3);
  EXPECT_EQ(one.p999, 3);
  EXPECT_EQ(Summarize({}).count, 0);
  EXPECT_EQ(Summarize({}).p99, 0);
}

}  // namespace
}  // namespace haq::client::load
