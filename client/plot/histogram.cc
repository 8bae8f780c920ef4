#include "client/plot/histogram.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "client/plot/axis.h"

namespace haq::plot {
namespace {

constexpr double kWidth = 860, kHeight = 300, kNames = 190, kNumbers = 150;
constexpr double kRowHeight = 22, kBarHeight = 8, kAxisHeight = 44;
constexpr double kLeast = 0.5;  // where the logarithmic axis begins: one value is seen
constexpr TextStyle kNameStyle{.size = 11, .anchor = Anchor::kRight};
constexpr TextStyle kNumberStyle{.size = 10, .color = kFaint};
constexpr TextStyle kTickStyle{.size = 10, .color = kFaint, .anchor = Anchor::kCenter};
constexpr TextStyle kCountStyle{.size = 10, .color = kFaint, .anchor = Anchor::kRight};
constexpr TextStyle kTitleStyle{.size = 11, .anchor = Anchor::kCenter};

Axis ValueAxis(const HistogramFigure& figure, double from, double to) {
  double low = figure.low, high = figure.high;
  for (const MarkedRange& range : figure.ranges) {
    low = std::min(low, range.low);
    high = std::max(high, range.high);
  }
  const double room = 0.02 * (high - low);
  return {low - room, high + room, from, to};
}

double Logarithm(double count) { return std::log10(std::max(count, kLeast)); }

Axis CountAxis(const HistogramFigure& figure, double bottom, double top) {
  int64_t most = 1;
  for (const int64_t count : figure.counts) most = std::max(most, count);
  return {Logarithm(0), Logarithm(static_cast<double>(most)) + 0.1, bottom, top};
}

void DrawCounts(Canvas& canvas, const HistogramFigure& figure, const Axis& values,
                const Axis& counts, double left, double right) {
  for (double power = 0; power <= counts.high(); ++power) {
    canvas.Line({left, counts.At(power)}, {right, counts.At(power)}, kGrid);
    canvas.Text({left - 6, counts.At(power)}, CountLabel(std::pow(10, power)), kCountStyle);
  }
  const double bin = (figure.high - figure.low) / std::max<double>(1, double(figure.counts.size()));
  const double bottom = counts.At(Logarithm(0));
  for (size_t i = 0; i < figure.counts.size(); ++i) {
    if (figure.counts[i] == 0) continue;
    const double begin = values.At(figure.low + bin * static_cast<double>(i));
    const double end = values.At(figure.low + bin * static_cast<double>(i + 1));
    const double top = counts.At(Logarithm(static_cast<double>(figure.counts[i])));
    canvas.Rectangle({begin, top}, std::max(end - begin - 0.4, 1.0), bottom - top, Rgb(0xB8C4CE));
  }
}

void DrawValueAxis(Canvas& canvas, const HistogramFigure& figure, const Axis& values, double left,
                   double right, double y) {
  canvas.Line({left, y}, {right, y}, kInk);
  const auto ticks = values.Ticks(8);
  const auto labels = TickLabels(ticks);
  for (size_t i = 0; i < ticks.size(); ++i) {
    canvas.Line({values.At(ticks[i]), y}, {values.At(ticks[i]), y + 4}, kInk);
    canvas.Text({values.At(ticks[i]), y + 13}, labels[i], kTickStyle);
  }
  canvas.Text({(left + right) / 2, y + 30}, figure.value_title, kTitleStyle);
}

void DrawRange(Canvas& canvas, const MarkedRange& range, const Axis& values, double top,
               double axis_y, double y, double right) {
  const double begin = values.At(range.low), end = values.At(range.high);
  for (const double x : {begin, end}) {
    Color faint = range.color;
    faint.alpha = 0.75;
    canvas.Line({x, top}, {x, axis_y}, faint, 1.2, /*dashed=*/true);
  }
  canvas.Rectangle({begin, y - kBarHeight / 2}, std::max(end - begin, 1.0), kBarHeight,
                   range.color);
  canvas.Text({right + 10, y},
              fmt::format("{} to {}", ShortNumber(range.low), ShortNumber(range.high)),
              kNumberStyle);
}

}  // namespace

Canvas DrawHistogram(const HistogramFigure& figure) {
  const double rows = kRowHeight * static_cast<double>(figure.ranges.size());
  const double head = HeadingHeight(figure.heading, {}, kWidth);
  Canvas canvas(kWidth, head + kHeight + kAxisHeight + rows + kMargin);
  const double top = DrawHeading(canvas, figure.heading, {});
  const double left = kNames, right = kWidth - kNumbers, bottom = top + kHeight;
  const Axis values = ValueAxis(figure, left, right);
  DrawCounts(canvas, figure, values, CountAxis(figure, bottom, top), left, right);
  TextStyle turned = kTitleStyle;
  turned.upward = true;
  canvas.Text({left - 50, (top + bottom) / 2}, "values in a bin", turned);
  for (size_t i = 0; i < figure.ranges.size(); ++i) {
    const double y = bottom + kAxisHeight + kRowHeight * (static_cast<double>(i) + 0.5);
    canvas.Text({left - 10, y}, canvas.Fitted(figure.ranges[i].name, kNameStyle, left - 20),
                kNameStyle);
    DrawRange(canvas, figure.ranges[i], values, top, bottom, y, right);
  }
  DrawValueAxis(canvas, figure, values, left, right, bottom);
  return canvas;
}

}  // namespace haq::plot
