#include "client/comparison/outcome.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/client/comparison/reports.h"

namespace haq::comparison {
namespace {

using ::testing::HasSubstr;

TEST(AddReport, ReadsFiguresAndAnswers) {
  const Row row = RowOf(TenImages(), TenImages());
  EXPECT_EQ(row.images, 10);
  EXPECT_EQ(row.labelled_images, 9);
  EXPECT_EQ(row.calibration_images, 100);
  EXPECT_EQ(row.labels, TenImages().labels);
  EXPECT_DOUBLE_EQ(row.fp32.top1, 7.0 / 9);
  EXPECT_EQ(row.fp32.classes, TenImages().fp32);
  ASSERT_EQ(row.methods.size(), 2U);
  const Outcome* outcome = row.Find("redistribution");
  ASSERT_NE(outcome, nullptr);
  EXPECT_EQ(outcome->title, "Activation Redistribution");
  EXPECT_DOUBLE_EQ(outcome->top1, 5.0 / 9);
  EXPECT_DOUBLE_EQ(outcome->agreement, 0.6);
  EXPECT_NEAR(outcome->sqnr_db, 10 * std::log10(100 / 2.0), 1e-6);
  EXPECT_EQ(outcome->noise, TenImages().noise);
  EXPECT_EQ(row.Find("kl"), nullptr);
}

TEST(AddReport, NoNoiseAtAllIsInfinity) {
  Answers exact = TenImages();
  exact.int8 = exact.fp32;
  exact.noise.assign(10, 0);
  EXPECT_TRUE(std::isinf(RowOf(exact, exact).methods[0].sqnr_db));
}

TEST(AddReport, RefusesOtherDocumentsAndOtherImages) {
  Row row;
  EXPECT_EQ(AddReport("no JSON", {}, &row).code(), StatusCode::kInternal);
  EXPECT_EQ(AddReport("{}", {}, &row).code(), StatusCode::kInternal);
  row = RowOf(TenImages(), TenImages());
  Answers other = TenImages();
  other.labels[3] = 5;
  Outcome outcome;
  outcome.job = "jobs/9";
  const Status status = AddReport(ReportOf(other).dump(), outcome, &row);
  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_THAT(status.message(), HasSubstr("jobs/9 is about other images"));
}

TEST(AddPeer, StandsBesideTheJobs) {
  Row row = RowOf(TenImages(), TenImages());
  ASSERT_TRUE(AddPeer(PeerOf(TenImages()).dump(), &row).ok());
  ASSERT_EQ(row.pytorch.size(), 1U);
  EXPECT_EQ(row.pytorch[0].name, "pytorch/histogram");
  EXPECT_EQ(row.pytorch[0].title, "PyTorch Histogram");
  EXPECT_EQ(row.BestPytorch(), &row.pytorch[0]);
  EXPECT_EQ(row.pytorch_note, "");
}

TEST(AddPeer, SaysWhereTheFp32NetworksDiffer) {
  Row row = RowOf(TenImages(), TenImages());
  Answers other = TenImages();
  other.fp32[0] = 3;
  ASSERT_TRUE(AddPeer(PeerOf(other).dump(), &row).ok());
  EXPECT_THAT(row.pytorch_note, HasSubstr("on 1 of 10 images"));
}

TEST(AddPeer, RefusesOtherImages) {
  Row row = RowOf(TenImages(), TenImages());
  Answers other = TenImages();
  other.labels[0] = 3;
  EXPECT_THAT(AddPeer(PeerOf(other).dump(), &row).message(), HasSubstr("other images"));
  EXPECT_EQ(AddPeer("{}", &row).code(), StatusCode::kInternal);
  EXPECT_TRUE(row.pytorch.empty());
}

TEST(AddPeer, FillsARowWhoseJobsFailed) {
  Row row;
  ASSERT_TRUE(AddPeer(PeerOf(TenImages()).dump(), &row).ok());
  EXPECT_EQ(row.images, 10);
  EXPECT_EQ(row.labelled_images, 9);
  EXPECT_DOUBLE_EQ(row.fp32.top1, 7.0 / 9);
}

TEST(Row, TheBestPytorchHasTheBestSqnr) {
  Row row;
  EXPECT_EQ(row.BestPytorch(), nullptr);
  row.pytorch.resize(3);
  row.pytorch[0].sqnr_db = 5;
  row.pytorch[1].sqnr_db = 8;
  row.pytorch[2].sqnr_db = 9;
  row.pytorch[2].error = "broken";
  EXPECT_EQ(row.BestPytorch(), &row.pytorch[1]);
}

TEST(MethodTitle, IsThePapersName) {
  EXPECT_EQ(MethodTitle("moving_minmax"), "Moving MinMax");
  EXPECT_EQ(MethodTitle("redistribution/best"), "Activation Redistribution (best)");
  EXPECT_EQ(MethodTitle("new_one"), "new_one");
}

}  // namespace
}  // namespace haq::comparison
