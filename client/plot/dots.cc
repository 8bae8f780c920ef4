#include "client/plot/dots.h"

#include <algorithm>
#include <cmath>

#include "client/plot/axis.h"

namespace haq::plot {
namespace {

constexpr double kRowHeight = 17, kPanelWidth = 330, kPanelGap = 26, kLargestName = 300;
constexpr double kPanelTitle = 24, kTickHeight = 18, kRadius = 3.4;
constexpr TextStyle kNameStyle{.size = 10, .anchor = Anchor::kRight};
constexpr TextStyle kPanelTitleStyle{.size = 12, .bold = true};
constexpr TextStyle kTickStyle{.size = 10, .color = kFaint, .anchor = Anchor::kCenter};

double NameWidth(const DotFigure& figure) {
  const Canvas ruler(1, 1);
  double width = 40;
  for (const DotRow& row : figure.rows) {
    width = std::max(width, ruler.TextWidth(row.name, kNameStyle));
  }
  return std::min(width, kLargestName);
}

Axis ValueAxis(const DotFigure& figure, size_t panel, double from) {
  double low = 0, high = 0;
  bool first = true;
  for (const DotRow& row : figure.rows) {
    for (const double value : row.values[panel]) {
      if (!std::isfinite(value)) continue;
      low = first ? value : std::min(low, value);
      high = first ? value : std::max(high, value);
      first = false;
    }
  }
  const double room = 0.04 * (high - low);
  return {low - room, high + room, from, from + kPanelWidth};
}

// Dots of one row stand a little apart, so that equal ones are all seen.
double Offset(size_t series, size_t count) {
  const double step = std::min(2.4, (kRowHeight - 2 * kRadius) / double(count));
  return (static_cast<double>(series) - (static_cast<double>(count) - 1) / 2) * step;
}

void DrawPanel(Canvas& canvas, const DotFigure& figure, size_t panel, double left, double top) {
  canvas.Text({left, top + kPanelTitle / 2}, figure.panels[panel], kPanelTitleStyle);
  const double begin = top + kPanelTitle + kTickHeight;
  const double end = begin + kRowHeight * static_cast<double>(figure.rows.size());
  const Axis axis = ValueAxis(figure, panel, left);
  const auto ticks = axis.Ticks(6);
  const auto labels = TickLabels(ticks);
  for (size_t i = 0; i < ticks.size(); ++i) {
    const double x = axis.At(ticks[i]);
    canvas.Line({x, begin}, {x, end}, kGrid);
    for (const double y : {begin - kTickHeight / 2, end + kTickHeight / 2}) {
      canvas.Text({x, y}, labels[i], kTickStyle);
    }
  }
  canvas.Line({left, begin}, {left, end}, kInk);
  for (size_t row = 0; row < figure.rows.size(); ++row) {
    const auto& values = figure.rows[row].values[panel];
    const double y = begin + kRowHeight * (static_cast<double>(row) + 0.5);
    for (size_t series = 0; series < values.size(); ++series) {
      if (!std::isfinite(values[series])) continue;
      canvas.Dot({axis.At(values[series]), y + Offset(series, values.size())}, kRadius,
                 figure.series[series].color);
    }
  }
}

}  // namespace

Canvas DrawDots(const DotFigure& figure) {
  const double names = NameWidth(figure);
  const double panels = static_cast<double>(figure.panels.size());
  const double width = 2 * kMargin + names + 10 + panels * kPanelWidth + (panels - 1) * kPanelGap;
  const double rows = kRowHeight * static_cast<double>(figure.rows.size());
  Canvas canvas(width, HeadingHeight(figure.heading, figure.series, width) + kPanelTitle +
                           2 * kTickHeight + rows + kMargin);
  const double top = DrawHeading(canvas, figure.heading, figure.series);
  const double begin = top + kPanelTitle + kTickHeight;
  for (size_t row = 0; row < figure.rows.size(); ++row) {
    const double y = begin + kRowHeight * static_cast<double>(row);
    if (row % 2 == 0) {
      canvas.Rectangle({kMargin, y}, width - 2 * kMargin, kRowHeight, Rgb(0xF5F5F5));
    }
    canvas.Text({kMargin + names, y + kRowHeight / 2},
                canvas.Fitted(figure.rows[row].name, kNameStyle, names), kNameStyle);
  }
  for (size_t panel = 0; panel < figure.panels.size(); ++panel) {
    const double left =
        kMargin + names + 10 + static_cast<double>(panel) * (kPanelWidth + kPanelGap);
    DrawPanel(canvas, figure, panel, left, top);
  }
  return canvas;
}

}  // namespace haq::plot
