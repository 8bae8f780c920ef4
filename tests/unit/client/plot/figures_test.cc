// Figures have ink where their values are: bars as long as they should be, dots in their order.
#include <gtest/gtest.h>

#include <cmath>

#include "client/plot/bars.h"
#include "client/plot/dots.h"
#include "client/plot/histogram.h"
#include "tests/unit/client/plot/picture.h"

namespace haq::plot {
namespace {

constexpr Color kRed = Rgb(0xE00000), kBlue = Rgb(0x0000E0), kGreen = Rgb(0x00A000);
// Legends have a swatch of every colour; it is above everything else.
constexpr int kSwatchPixels = 22;

// Without the swatch of the legend, which has the same colour.
std::optional<Box> BelowLegend(const Picture& picture, Color color) {
  auto box = picture.Find(color);
  if (!box) return box;
  const auto runs = picture.Runs(color, box->top);
  EXPECT_EQ(runs.size(), 1U);
  EXPECT_EQ(runs[0], kSwatchPixels);
  return box;
}

BarFigure Bars(double red, double blue) {
  BarFigure figure;
  figure.heading = {"Title", "subtitle"};
  figure.groups = {"net"};
  figure.series = {{"red", kRed}, {"blue", kBlue}};
  figure.panels = {{"Top-1, %", 1, false, {{{red}, {blue}}}}};
  return figure;
}

// Pixels of a bar: those of its colour but for the legend's.
int64_t BarPixels(const Picture& picture, Color color) {
  return picture.Count(color) - kSwatchPixels * kSwatchPixels;
}

TEST(Bars, AreAsHighAsTheirValues) {
  const Picture picture(DrawBars(Bars(80, 40)));
  ASSERT_TRUE(BelowLegend(picture, kRed));
  EXPECT_GT(BarPixels(picture, kBlue), 1000);
  EXPECT_NEAR(double(BarPixels(picture, kRed)) / double(BarPixels(picture, kBlue)), 2, 0.03);
  EXPECT_LT(picture.Find(kRed)->bottom, picture.height());
}

TEST(Bars, NegativeOnesHangBelowZero) {
  const Picture picture(DrawBars(Bars(3, -3)));
  const auto red = picture.Find(kRed), blue = picture.Find(kBlue);
  ASSERT_TRUE(red && blue);
  EXPECT_GT(blue->bottom, red->bottom + 100);
  EXPECT_NEAR(double(BarPixels(picture, kRed)), double(BarPixels(picture, kBlue)),
              0.05 * double(BarPixels(picture, kRed)));
}

TEST(Bars, WhatHasNoFigureHasNoBar) {
  const Picture picture(DrawBars(Bars(3, std::nan(""))));
  EXPECT_EQ(BarPixels(picture, kBlue), 0);
  EXPECT_GT(BarPixels(picture, kRed), 1000);
  EXPECT_GT(BarPixels(Picture(DrawBars(Bars(3, 0))), kBlue), 50) << "0 is a figure";
}

TEST(Bars, IntervalsAreDrawnOverThem) {
  BarFigure figure = Bars(50, 50);
  const int64_t before = Picture(DrawBars(figure)).Count(kInk);
  figure.panels[0].groups[0][0].low = 30;
  figure.panels[0].groups[0][0].high = 70;
  EXPECT_GT(Picture(DrawBars(figure)).Count(kInk), before + 100);
}

TEST(Bars, ManyGroupsMakeAWiderPictureAndPanelsAHigherOne) {
  BarFigure figure = Bars(1, 2);
  const Picture one(DrawBars(figure));
  for (int i = 0; i < 9; ++i) {
    figure.groups.push_back("another network");
    figure.panels[0].groups.push_back({{1}, {2}});
  }
  figure.panels.push_back(figure.panels[0]);
  const Picture many(DrawBars(figure));
  EXPECT_GT(many.width(), one.width());
  EXPECT_GT(many.height(), one.height() + 400);
  EXPECT_EQ(many.Runs(kRed, many.Find(kRed)->bottom - 4).size(), 10U) << "a bar for each group";
}

DotFigure Dots() {
  DotFigure figure;
  figure.heading = {"Title", ""};
  figure.panels = {"A, dB", "B, dB"};
  figure.series = {{"red", kRed}, {"blue", kBlue}};
  figure.rows = {{"first", {{20, 40}, {10, std::nan("")}}}, {"second", {{30, 30}, {12, 14}}}};
  return figure;
}

TEST(Dots, StandInTheOrderOfTheirValues) {
  DotFigure figure = Dots();
  figure.panels.pop_back();
  figure.rows = {{"only", {{20, 40}}}};
  const Picture picture(DrawDots(figure));
  // The lowest pixels are the dots': the legend is above.
  const int red_row = picture.Find(kRed)->bottom, blue_row = picture.Find(kBlue)->bottom;
  EXPECT_NEAR(red_row, blue_row, 6) << "one line";
  const auto red = picture.Find(kRed, 200), blue = picture.Find(kBlue, 300);
  ASSERT_TRUE(blue);
  EXPECT_FALSE(red) << "20 is at the left";
}

TEST(Dots, EveryRowMakesThePictureHigher) {
  DotFigure figure = Dots();
  const int two = Picture(DrawDots(figure)).height();
  for (int i = 0; i < 60; ++i) figure.rows.push_back(figure.rows[0]);
  const Picture picture(DrawDots(figure));
  EXPECT_NEAR(picture.height() - two, 60 * 34, 4);
}

TEST(Dots, WhatIsNotFiniteHasNoDot) {
  DotFigure figure = Dots();
  const int64_t three = Picture(DrawDots(figure)).Count(kBlue);
  figure.rows[0].values[0][1] = std::numeric_limits<double>::infinity();
  const int64_t two = Picture(DrawDots(figure)).Count(kBlue);
  EXPECT_LT(two, three);
  EXPECT_GT(two, kSwatchPixels * kSwatchPixels);
}

TEST(Histogram, BarsOfRangesAreAsLongAsTheRanges) {
  HistogramFigure figure;
  figure.heading = {"net: tensor", "many values"};
  figure.value_title = "value";
  figure.low = 0;
  figure.high = 8;
  figure.counts = {1000, 100, 10, 0, 0, 0, 0, 1};
  figure.ranges = {{"wide", kRed, 0, 8}, {"narrow", kBlue, 0, 4}, {"two-sided", kGreen, -2, 2}};
  const Picture picture(DrawHistogram(figure));
  const auto width = [&picture](Color color) {
    return picture.Runs(color, picture.Find(color)->bottom - 3).front();
  };
  EXPECT_NEAR(double(width(kRed)) / width(kBlue), 2, 0.02);
  EXPECT_EQ(width(kBlue), width(kGreen));
  EXPECT_LT(picture.Find(kGreen)->left, picture.Find(kRed)->left);
  EXPECT_GT(picture.Find(kBlue)->bottom, picture.Find(kRed)->bottom) << "below each other";
}

TEST(Histogram, OneValueInABinIsSeen) {
  constexpr Color kBin = Rgb(0xB8C4CE);
  HistogramFigure figure;
  figure.low = -1;
  figure.high = 1;
  figure.counts = {100'000, 0, 0, 1};
  const Picture picture(DrawHistogram(figure));
  const auto all = picture.Find(kBin);
  ASSERT_TRUE(all);
  const int middle = (all->left + all->right) / 2;
  const auto many = picture.Find(kBin, 0, middle), one = picture.Find(kBin, middle);
  ASSERT_TRUE(many && one);
  EXPECT_EQ(many->bottom, one->bottom);
  EXPECT_GT(one->height(), 15);
  // From half a value: log10(1 / 0.5) beside log10(100000 / 0.5).
  EXPECT_NEAR(double(one->height()) / many->height(), std::log10(2) / std::log10(200'000), 0.01);
}

TEST(Histogram, ATensorOfOneValueCanBeDrawn) {
  HistogramFigure figure;
  figure.low = figure.high = 3;
  figure.counts = {500};
  figure.ranges = {{"minmax", kRed, 0, 3}};
  EXPECT_GT(Picture(DrawHistogram(figure)).Count(kRed), 100);
}

}  // namespace
}  // namespace haq::plot
