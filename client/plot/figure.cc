#include "client/plot/figure.h"

namespace haq::plot {
namespace {

constexpr TextStyle kTitle{.size = 16, .bold = true};
constexpr TextStyle kSubtitle{.size = 11, .color = kFaint};
constexpr TextStyle kLegend{.size = 11};
constexpr double kTitleHeight = 26, kSubtitleHeight = 18, kLegendHeight = 20, kGap = 10;
constexpr double kSwatch = 11, kSwatchGap = 6, kEntryGap = 18;

struct Entry {
  size_t series;
  Point at;  // of its swatch, from the legend's corner
};

// Entries in lines as wide as the picture.
std::vector<Entry> PlaceLegend(const Canvas& canvas, const std::vector<Series>& legend,
                               double width) {
  std::vector<Entry> entries;
  Point at;
  for (size_t i = 0; i < legend.size(); ++i) {
    const double entry = kSwatch + kSwatchGap + canvas.TextWidth(legend[i].name, kLegend);
    if (at.x > 0 && at.x + entry > width - 2 * kMargin) at = {0, at.y + kLegendHeight};
    entries.push_back({i, at});
    at.x += entry + kEntryGap;
  }
  return entries;
}

}  // namespace

double HeadingHeight(const Heading& heading, const std::vector<Series>& legend, double width) {
  double height = kMargin + kTitleHeight + (heading.subtitle.empty() ? 0 : kSubtitleHeight) + kGap;
  if (!legend.empty()) {
    const Canvas ruler(1, 1);
    height += PlaceLegend(ruler, legend, width).back().at.y + kLegendHeight + kGap;
  }
  return height;
}

double DrawHeading(Canvas& canvas, const Heading& heading, const std::vector<Series>& legend) {
  const double width = canvas.width() - 2 * kMargin;
  double y = kMargin;
  canvas.Text({kMargin, y + kTitleHeight / 2}, canvas.Fitted(heading.title, kTitle, width), kTitle);
  y += kTitleHeight;
  if (!heading.subtitle.empty()) {
    canvas.Text({kMargin, y + kSubtitleHeight / 2},
                canvas.Fitted(heading.subtitle, kSubtitle, width), kSubtitle);
    y += kSubtitleHeight;
  }
  y += kGap;
  if (legend.empty()) return y;
  double bottom = y;
  for (const Entry& entry : PlaceLegend(canvas, legend, canvas.width())) {
    const Point at{kMargin + entry.at.x, y + entry.at.y};
    canvas.Rectangle({at.x, at.y + (kLegendHeight - kSwatch) / 2}, kSwatch, kSwatch,
                     legend[entry.series].color);
    canvas.Text({at.x + kSwatch + kSwatchGap, at.y + kLegendHeight / 2}, legend[entry.series].name,
                kLegend);
    bottom = at.y + kLegendHeight;
  }
  return bottom + kGap;
}

}  // namespace haq::plot
