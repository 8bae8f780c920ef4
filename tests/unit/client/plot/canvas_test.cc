#include "client/plot/canvas.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/client/plot/picture.h"

namespace haq::plot {
namespace {

constexpr Color kRed = Rgb(0xFF0000), kBlue = Rgb(0x0000FF);

TEST(Canvas, IsWhiteAndAsLargeAsAskedFor) {
  const Picture picture{Canvas(50, 30)};
  EXPECT_EQ(picture.width(), 100);
  EXPECT_EQ(picture.height(), 60);
  EXPECT_EQ(picture.Count(kPaper), 6000);
}

TEST(Canvas, DrawsWhereItIsTold) {
  Canvas canvas(50, 30);
  canvas.Rectangle({10, 5}, 20, 10, kRed);
  canvas.Polygon({{40, 20}, {48, 20}, {48, 28}, {40, 28}}, kBlue);
  const Picture picture(canvas);
  const auto red = picture.Find(kRed), blue = picture.Find(kBlue);
  ASSERT_TRUE(red && blue);
  EXPECT_EQ(red->left, 20);
  EXPECT_EQ(red->top, 10);
  EXPECT_EQ(red->width(), 40);
  EXPECT_EQ(red->height(), 20);
  EXPECT_EQ(picture.Count(kRed), 800);
  EXPECT_EQ(blue->left, 80);
  EXPECT_EQ(picture.Count(kBlue), 256);
}

TEST(Canvas, TextStandsAtItsAnchor) {
  const TextStyle left{.size = 20, .color = kRed},
      right{.size = 20, .color = kBlue, .anchor = Anchor::kRight};
  Canvas canvas(200, 60);
  canvas.Text({100, 30}, "HHH", left);
  canvas.Text({100, 30}, "HHH", right);
  const Picture picture(canvas);
  const auto red = picture.Find(kRed), blue = picture.Find(kBlue);
  ASSERT_TRUE(red && blue) << "no letters: is a font installed?";
  EXPECT_GE(red->left, 200);
  EXPECT_LT(blue->right, 200);
  EXPECT_NEAR((red->top + red->bottom) / 2.0, 60, 3) << "half the height of the letters";
  EXPECT_NEAR(red->width() / 2.0, canvas.TextWidth("HHH", left), 8);
}

TEST(Canvas, TurnedTextReadsUpward) {
  Canvas canvas(60, 200);
  canvas.Text({30, 100}, "HHHH",
              {.size = 20, .color = kRed, .anchor = Anchor::kCenter, .upward = true});
  const auto ink = Picture(canvas).Find(kRed);
  ASSERT_TRUE(ink);
  EXPECT_GT(ink->height(), 2 * ink->width());
  EXPECT_NEAR((ink->top + ink->bottom) / 2.0, 200, 6);
}

TEST(Canvas, LongTextLosesItsMiddle) {
  const Canvas canvas(10, 10);
  const TextStyle style{.size = 10};
  EXPECT_EQ(canvas.Fitted("short", style, 100), "short");
  const std::string fitted =
      canvas.Fitted("features.denseblock4.layer16.conv2 \u00e4\u00f6\u00fc\u00df", style, 120);
  EXPECT_LE(canvas.TextWidth(fitted, style), 120);
  EXPECT_THAT(fitted, testing::StartsWith("feat"));
  EXPECT_THAT(fitted, testing::HasSubstr("\u2026"));
  EXPECT_THAT(fitted, testing::EndsWith("\u00df"));
}

TEST(Canvas, WhatCannotBeWrittenIsSaid) {
  const Status missing = Canvas(10, 10).WritePng("/nowhere/at/all.png");
  EXPECT_EQ(missing.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(missing.message(), testing::HasSubstr("/nowhere/at/all.png"));
  EXPECT_EQ(Canvas(1e6, 10).WritePng("/tmp/large.png").code(), StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace haq::plot
