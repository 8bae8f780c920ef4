#include "client/comparison/sheets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/client/comparison/reports.h"

namespace haq::comparison {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Comparison Two() {
  Comparison comparison;
  comparison.scheme = "hybrid";
  comparison.weights = "per_channel";
  comparison.preset = "fast";
  comparison.reference = "redistribution";
  Answers better = TenImages();
  better.int8 = better.fp32;
  for (float& noise : better.noise) noise /= 10;
  comparison.rows.push_back(RowOf(TenImages(), better));
  return comparison;
}

std::vector<std::string> Titles(const Sheet& sheet) {
  std::vector<std::string> titles;
  for (const SheetColumn& column : sheet.columns) titles.push_back(column.title);
  return titles;
}

TEST(Sheets, ThePapersTableHasOneLineAModel) {
  Comparison comparison = Two();
  ASSERT_TRUE(AddPeer(PeerOf(TenImages()).dump(), &comparison.rows[0]).ok());
  const auto sheets = MakeSheets(comparison);
  ASSERT_EQ(sheets.size(), 5U);
  EXPECT_THAT(Titles(sheets[0]),
              ElementsAre("MODEL", "FP32", "PyTorch", "MinMax", "Activation Redistribution"));
  ASSERT_EQ(sheets[0].rows.size(), 1U);
  EXPECT_THAT(sheets[0].rows[0], ElementsAre("net", "77.78 ", "55.56 ", "55.56 ", "77.78 "));
  EXPECT_THAT(sheets[1].rows[0], ElementsAre("net", "60.00", "60.00", "100.00"));
  EXPECT_THAT(sheets[2].rows[0], ElementsAre("net", "16.99", "16.99", "26.99"));
  EXPECT_THAT(sheets[2].notes[0], HasSubstr("hybrid scheme, weights per_channel, preset fast"));
}

TEST(Sheets, DetailsHaveIntervalsAndTests) {
  const auto sheets = MakeSheets(Two());
  const Sheet& details = sheets[3];
  EXPECT_EQ(details.title, "net: 10 images of test, calibrated on 100 of cal");
  ASSERT_EQ(details.rows.size(), 3U);
  EXPECT_THAT(details.rows[0], ElementsAre("FP32", "77.78 [45.3, 93.7]", "-", "-", "-", "-"));
  EXPECT_EQ(details.rows[1][0], "MinMax");
  EXPECT_THAT(details.rows[1][2], HasSubstr("-22.22 ["));
  EXPECT_EQ(details.rows[1][3], "0.625");
  EXPECT_THAT(details.rows[2][2], HasSubstr("+0.00 ["));
  const Sheet& pairs = sheets[4];
  EXPECT_EQ(pairs.title, "net: Activation Redistribution beside the others");
  ASSERT_EQ(pairs.rows.size(), 1U);
  EXPECT_THAT(pairs.rows[0], ElementsAre("MinMax", HasSubstr("+22.22 ["), "3", "1", "0.625",
                                         "+10.00 [+10.00, +10.00]"));
}

TEST(Sheets, ASignificantChangeHasAStar) {
  Answers worse = TenImages();
  for (int i = 0; i < 20; ++i) {
    worse.labels.push_back(1);
    worse.fp32.push_back(1);
    worse.int8.push_back(2);
    worse.signal.push_back(1);
    worse.noise.push_back(1);
  }
  Comparison comparison = Two();
  comparison.rows = {RowOf(worse, worse)};
  EXPECT_EQ(MakeSheets(comparison)[0].rows[0][3], "17.24*");
}

TEST(Sheets, WhatFailedSaysWhy) {
  Comparison comparison = Two();
  Outcome failed;
  failed.name = "kl";
  failed.title = "KL";
  failed.error = "jobs/4: INTERNAL: it broke";
  comparison.rows[0].methods.push_back(failed);
  comparison.rows[0].pytorch_note = "left out by --pytorch off";
  const auto sheets = MakeSheets(comparison);
  EXPECT_THAT(Titles(sheets[0]), testing::Contains("KL"));
  EXPECT_EQ(sheets[0].rows[0].back(), "failed");
  EXPECT_EQ(sheets[0].rows[0][2], "-");
  EXPECT_THAT(sheets[3].notes, testing::Contains("KL: jobs/4: INTERNAL: it broke"));
  EXPECT_THAT(sheets[2].notes[0], HasSubstr("PyTorch: left out by --pytorch off."));
}

TEST(Sheets, ModelsMayHaveDifferentMethods) {
  Comparison comparison = Two();
  Row other = comparison.rows[0];
  other.model = "other";
  other.methods.erase(other.methods.begin());
  comparison.rows.push_back(other);
  const auto sheets = MakeSheets(comparison);
  EXPECT_EQ(sheets[0].rows[1][3], "-");
}

TEST(FormatP, KeepsThreeDigits) {
  EXPECT_EQ(FormatP(0.0004), "<0.001");
  EXPECT_EQ(FormatP(0.0126), "0.013");
  EXPECT_EQ(FormatP(1), "1.000");
  EXPECT_EQ(FormatP(kNoFigure), "-");
}

}  // namespace
}  // namespace haq::comparison
