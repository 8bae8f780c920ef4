#include "client/plot/bars.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "client/plot/axis.h"

namespace haq::plot {
namespace {

constexpr double kLeft = 66, kGroupGap = 30, kLeastWidth = 560;
constexpr double kLeastSlot = 36, kLargestSlot = 60;  // of one bar
constexpr double kLeastHeight = 2;                    // a bar of 0 is seen
constexpr double kPanelTitle = 26, kPanelHeight = 210, kPanelFoot = 34;
constexpr double kBarShare = 0.72;  // of its slot
constexpr TextStyle kPanelTitleStyle{.size = 12, .bold = true};
constexpr TextStyle kTickStyle{.size = 10, .color = kFaint, .anchor = Anchor::kRight};
constexpr TextStyle kGroupStyle{.size = 11, .anchor = Anchor::kCenter};
constexpr TextStyle kValueStyle{.size = 9, .anchor = Anchor::kCenter};

// Where the bars stand: the same in every panel.
struct Layout {
  double width;  // of the picture
  double slot;   // of a bar
  double group;  // of a group, with its gap
  double begin;  // of the first group
};

Layout MakeLayout(const BarFigure& figure) {
  const auto groups = static_cast<double>(figure.groups.size());
  const auto bars = static_cast<double>(figure.series.size());
  Layout layout{};
  const double least = kLeft + kMargin + groups * (bars * kLeastSlot + kGroupGap);
  layout.width = std::max(kLeastWidth, least);
  const double room = layout.width - kLeft - kMargin;
  layout.slot = std::clamp((room / groups - kGroupGap) / bars, kLeastSlot, kLargestSlot);
  layout.group = room / groups;
  layout.begin = kLeft;
  return layout;
}

// 0, and all that is drawn, with room for the values.
Axis ValueAxis(const BarPanel& panel, double bottom, double top) {
  double low = 0, high = 0;
  for (const auto& group : panel.groups) {
    for (const Bar& bar : group) {
      if (!std::isfinite(bar.value)) continue;
      low = std::min({low, bar.value, std::isfinite(bar.low) ? bar.low : 0});
      high = std::max({high, bar.value, std::isfinite(bar.high) ? bar.high : 0});
    }
  }
  const double room = 0.1 * std::max(high - low, 1e-9);
  return {low < 0 ? low - room : 0, high > 0 ? high + room : 0, bottom, top};
}

void DrawInterval(Canvas& canvas, const Axis& axis, const Bar& bar, double x) {
  constexpr double kCap = 3;
  const double low = axis.At(bar.low), high = axis.At(bar.high);
  canvas.Line({x, low}, {x, high}, kInk, 1.1);
  for (const double y : {low, high}) canvas.Line({x - kCap, y}, {x + kCap, y}, kInk, 1.1);
}

void DrawBar(Canvas& canvas, const BarPanel& panel, const Axis& axis, const Bar& bar, double x,
             double slot, Color color) {
  if (!std::isfinite(bar.value)) {
    canvas.Text({x, axis.At(0) - 8}, "\u2013", kValueStyle);
    return;
  }
  const double zero = axis.At(0), end = axis.At(bar.value), width = slot * kBarShare;
  const double height = std::max(std::abs(end - zero), kLeastHeight);
  canvas.Rectangle({x - width / 2, bar.value < 0 ? zero : zero - height}, width, height, color);
  double outer = end;
  const bool below = bar.value < 0;
  if (std::isfinite(bar.low) && std::isfinite(bar.high)) {
    DrawInterval(canvas, axis, bar, x);
    outer = below ? std::max(end, axis.At(bar.low)) : std::min(end, axis.At(bar.high));
  }
  const std::string value = panel.sign ? fmt::format("{:+.{}f}", bar.value, panel.digits)
                                       : fmt::format("{:.{}f}", bar.value, panel.digits);
  canvas.Text({x, outer + (below ? 9 : -9)}, value, kValueStyle);
}

void DrawPanel(Canvas& canvas, const BarFigure& figure, const Layout& layout, const BarPanel& panel,
               double y) {
  canvas.Text({kMargin, y + kPanelTitle / 2}, panel.title, kPanelTitleStyle);
  const double top = y + kPanelTitle, bottom = top + kPanelHeight;
  const double right = canvas.width() - kMargin;
  const Axis axis = ValueAxis(panel, bottom, top);
  const auto ticks = axis.Ticks(5);
  const auto labels = TickLabels(ticks);
  for (size_t i = 0; i < ticks.size(); ++i) {
    canvas.Line({kLeft, axis.At(ticks[i])}, {right, axis.At(ticks[i])}, kGrid);
    canvas.Text({kLeft - 6, axis.At(ticks[i])}, labels[i], kTickStyle);
  }
  // The zero line lies behind the bars, so that a bar of 0 hides it.
  canvas.Line({kLeft, axis.At(0)}, {right, axis.At(0)}, kInk);
  for (size_t group = 0; group < figure.groups.size(); ++group) {
    const double center = layout.begin + layout.group * (static_cast<double>(group) + 0.5);
    const double first = center - layout.slot * static_cast<double>(figure.series.size()) / 2;
    for (size_t series = 0; series < figure.series.size(); ++series) {
      DrawBar(canvas, panel, axis, panel.groups[group][series],
              first + layout.slot * (static_cast<double>(series) + 0.5), layout.slot,
              figure.series[series].color);
    }
    canvas.Text({center, bottom + 14},
                canvas.Fitted(figure.groups[group], kGroupStyle, layout.group - 6), kGroupStyle);
  }
}

}  // namespace

Canvas DrawBars(const BarFigure& figure) {
  const Layout layout = MakeLayout(figure);
  const double panel_height = kPanelTitle + kPanelHeight + kPanelFoot;
  Canvas canvas(layout.width, HeadingHeight(figure.heading, figure.series, layout.width) +
                                  panel_height * double(figure.panels.size()) + kMargin / 2);
  double y = DrawHeading(canvas, figure.heading, figure.series);
  for (const BarPanel& panel : figure.panels) {
    DrawPanel(canvas, figure, layout, panel, y);
    y += panel_height;
  }
  return canvas;
}

}  // namespace haq::plot
