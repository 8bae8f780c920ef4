#include "client/comparison/certainty.h"

#include <gtest/gtest.h>

#include "tests/unit/client/comparison/reports.h"

namespace haq::comparison {
namespace {

TEST(Certainty, IntervalsAreThoseOfWholeImages) {
  const Row row = RowOf(TenImages(), TenImages());
  const Outcome& outcome = row.methods[0];
  EXPECT_DOUBLE_EQ(Top1Interval(outcome, row).low, eval::WilsonInterval(5, 9).low);
  EXPECT_DOUBLE_EQ(AgreementInterval(outcome, row).high, eval::WilsonInterval(6, 10).high);
  EXPECT_TRUE(std::isnan(AgreementInterval(row.fp32, row).low));
  const eval::Interval sqnr = SqnrInterval(outcome);
  EXPECT_LT(sqnr.low, outcome.sqnr_db);
  EXPECT_GT(sqnr.high, outcome.sqnr_db);
}

// FP32 is right on images 0 to 6, INT8 on 0 to 3 and 7; image 9 has no label.
TEST(Certainty, PairsCountLabelledImagesOnly) {
  const Row row = RowOf(TenImages(), TenImages());
  const Top1Comparison change = CompareTop1(row, row.fp32, row.methods[0]);
  EXPECT_EQ(change.only_first, 3);
  EXPECT_EQ(change.only_second, 1);
  EXPECT_DOUBLE_EQ(change.difference.value, -2.0 / 9);
  EXPECT_DOUBLE_EQ(change.p_value, eval::McNemarExact({9, 3, 1}));
  EXPECT_DOUBLE_EQ(change.difference.interval.low, eval::PairedDifferenceInterval({9, 3, 1}).low);
}

TEST(Certainty, ThereIsNoTestWithoutAnswers) {
  Row row = RowOf(TenImages(), TenImages());
  row.methods[0].classes.pop_back();
  EXPECT_TRUE(std::isnan(CompareTop1(row, row.fp32, row.methods[0]).p_value));
  row.methods[1].error = "failed";
  EXPECT_TRUE(std::isnan(CompareTop1(row, row.fp32, row.methods[1]).p_value));
  row.labels.assign(10, -1);
  row.methods[1].error = "";
  EXPECT_TRUE(std::isnan(CompareTop1(row, row.fp32, row.methods[1]).p_value));
}

TEST(Certainty, DecibelsAreThoseOfTheSecondOverTheFirst) {
  Answers better = TenImages();
  for (float& noise : better.noise) noise /= 2;
  const Row row = RowOf(TenImages(), better);
  const Difference difference = CompareSqnr(row.methods[0], row.methods[1]);
  EXPECT_NEAR(difference.value, 3.0103, 1e-3);
  EXPECT_NEAR(difference.interval.low, 3.0103, 1e-3) << "the same for every image";
  EXPECT_NEAR(difference.interval.high, 3.0103, 1e-3);
  EXPECT_TRUE(std::isnan(CompareSqnr(row.fp32, row.methods[1]).value));
}

}  // namespace
}  // namespace haq::comparison
