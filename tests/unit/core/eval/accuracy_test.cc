#include "core/eval/accuracy.h"

#include <gtest/gtest.h>

#include <cmath>

namespace haq::eval {
namespace {

TEST(TopK, EqualScoresGoToTheLowerIndex) {
  const float scores[] = {1, 3, 3, 2};
  EXPECT_EQ(ArgMax(scores), 1);
  EXPECT_TRUE(IsInTopK(scores, 1, 1));
  EXPECT_FALSE(IsInTopK(scores, 2, 1));
  EXPECT_TRUE(IsInTopK(scores, 2, 2));
  EXPECT_FALSE(IsInTopK(scores, 0, 3));
  EXPECT_TRUE(IsInTopK(scores, 0, 5));
}

TEST(Sqnr, FollowsItsFormula) {
  Sqnr sqnr;
  EXPECT_EQ(sqnr.Decibel(), 0);
  const float f[] = {3, 4}, q[] = {3, 4};
  sqnr.Add(f, q);
  EXPECT_TRUE(std::isinf(sqnr.Decibel()));
  const float noisy[] = {3.5f, 4};
  sqnr.Add(f, noisy);
  EXPECT_NEAR(sqnr.Decibel(), 10 * std::log10(50 / 0.25), 1e-12);
}

TEST(Comparison, CountsAndSurvivesACheckpoint) {
  Comparison comparison;
  const float a[] = {1, 2, 0, -1, -2, -3}, b[] = {2, 1, 0, -1, -2, -3};
  comparison.Add(a, a, 1);
  comparison.Add(a, b, 1);
  comparison.Add(a, b, 5);
  comparison.Add(b, b, std::nullopt);
  EXPECT_EQ(comparison.images(), 4);
  EXPECT_EQ(comparison.labelled_images(), 3);
  EXPECT_DOUBLE_EQ(comparison.fp32_top1(), 2.0 / 3);
  EXPECT_DOUBLE_EQ(comparison.int8_top1(), 1.0 / 3);
  EXPECT_DOUBLE_EQ(comparison.int8_top5(), 2.0 / 3);
  EXPECT_DOUBLE_EQ(comparison.agreement(), 0.5);

  ByteWriter writer;
  comparison.Save(writer);
  Comparison restored;
  ByteReader reader(writer.bytes());
  restored.Restore(reader);
  EXPECT_FALSE(reader.failed());
  restored.Add(a, b, 0);
  comparison.Add(a, b, 0);
  EXPECT_EQ(restored.sqnr_db(), comparison.sqnr_db());
  EXPECT_EQ(restored.int8_top1(), comparison.int8_top1());
  EXPECT_TRUE(std::isnan(Comparison().fp32_top1()));
}

}  // namespace
}  // namespace haq::eval
