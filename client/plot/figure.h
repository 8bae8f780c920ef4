// What every figure has: a title, series with colours, and their legend.
#pragma once

#include <string>
#include <vector>

#include "client/plot/canvas.h"

namespace haq::plot {

struct Series {
  std::string name;
  Color color;
};

struct Heading {
  std::string title, subtitle;
};

inline constexpr double kMargin = 20;

// Height that DrawHeading takes in a picture that wide.
double HeadingHeight(const Heading& heading, const std::vector<Series>& legend, double width);

// Title, subtitle and legend from the top; returns the y below them.
double DrawHeading(Canvas& canvas, const Heading& heading, const std::vector<Series>& legend);

}  // namespace haq::plot
