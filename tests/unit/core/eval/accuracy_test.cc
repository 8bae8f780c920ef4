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
  const float zero[] = {0, 0};
  sqnr.Add(zero, zero);
  EXPECT_TRUE(std::isinf(sqnr.Decibel())) << "zeros that stay zeros are exact";
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
  EXPECT_TRUE(restored.Restore(reader).ok());
  EXPECT_FALSE(reader.failed());
  restored.Add(a, b, 0);
  comparison.Add(a, b, 0);
  EXPECT_EQ(restored.sqnr_db(), comparison.sqnr_db());
  EXPECT_EQ(restored.int8_top1(), comparison.int8_top1());
  EXPECT_EQ(restored.predictions(), comparison.predictions());
  EXPECT_EQ(restored.paired_top1().only_first, comparison.paired_top1().only_first);
  EXPECT_TRUE(std::isnan(Comparison().fp32_top1()));
}

TEST(Comparison, KeepsWhatBothNetworksSaid) {
  const float zero[] = {1, 0, 0}, two[] = {0, 0, 1};
  Comparison comparison(3);
  comparison.Add(zero, zero, 0);
  comparison.Add(zero, two, 0);
  comparison.Add(two, zero, std::nullopt);
  comparison.Add(two, zero, 0);
  EXPECT_EQ(comparison.predictions(),
            (Predictions{{0, 0, -1}, {0, 0, 2}, {0, 2, 0}, {1, 1, 1}, {0, 2, 2}}))
      << "the first three";
  EXPECT_NEAR(comparison.sqnr_interval().low,
              DecibelRatioInterval(std::vector<float>{1, 1, 1}, std::vector<float>{0, 2, 2}).low,
              0);
  EXPECT_NEAR(comparison.agreement_interval().high, WilsonInterval(1, 4).high, 0);
  const PairedCounts paired = comparison.paired_top1();
  EXPECT_EQ(paired.images, 3);
  EXPECT_EQ(paired.only_first, 1);
  EXPECT_EQ(paired.only_second, 1);
  EXPECT_NEAR(comparison.fp32_top1_interval().low, WilsonInterval(2, 3).low, 0);
  EXPECT_NEAR(comparison.int8_top1_interval().high, WilsonInterval(2, 3).high, 0);

  ByteWriter writer;
  comparison.Save(writer);
  for (size_t size = 0; size < writer.bytes().size(); ++size) {
    ByteReader cut(std::span(writer.bytes()).first(size));
    EXPECT_EQ(Comparison(3).Restore(cut).code(), StatusCode::kDataLoss) << size;
  }
  ByteReader other_limit(writer.bytes());
  EXPECT_EQ(Comparison(5).Restore(other_limit).code(), StatusCode::kDataLoss);
}

}  // namespace
}  // namespace haq::eval
