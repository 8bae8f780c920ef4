#include "server/api/figures.h"

#include <gtest/gtest.h>

namespace haq::server::api {
namespace {

TEST(FiguresTest, ComeFromTheReport) {
  EXPECT_EQ(
      FiguresOf(R"({"fp32": {"top1": 0.9}, "int8": {"top1": 0.89}, "agreement": 0.97,
                          "sqnr_db": 31.5})",
                4),
      (ServedFigures{
          .version = 4, .fp32_top1 = 0.9, .int8_top1 = 0.89, .agreement = 0.97, .sqnr_db = 31.5}));
  EXPECT_EQ(FiguresOf(R"({"fp32": {"top1": null}, "int8": {"top1": null}, "agreement": 1,
                          "sqnr_db": null})",
                      4),
            (ServedFigures{.version = 4, .agreement = 1}));
}

TEST(FiguresTest, TimesAreThereWhereTheJobTookThem) {
  EXPECT_EQ(FiguresOf(R"({"speed": {"int8_ms": 1.5, "fp32_ms": 3, "ratio": 0.5}})", 1),
            (ServedFigures{.version = 1, .int8_ms = 1.5, .fp32_ms = 3}));
}

TEST(FiguresTest, AReportOfAnotherKindHasNone) {
  for (const char* report : {"", "{}", "[]", "7", "{", R"({"fp32": 1, "agreement": "x"})"}) {
    EXPECT_EQ(FiguresOf(report, 2), ServedFigures{.version = 2}) << report;
  }
}

}  // namespace
}  // namespace haq::server::api
