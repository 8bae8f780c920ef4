// Grouped bars with intervals: one group a model, one bar a method.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "client/plot/figure.h"

namespace haq::plot {

struct Bar {
  double value = std::numeric_limits<double>::quiet_NaN();  // not drawn where it is not finite
  double low = std::numeric_limits<double>::quiet_NaN();    // of its interval, where there is one
  double high = std::numeric_limits<double>::quiet_NaN();
};

// Bars of one quantity, over an axis that begins at 0.
struct BarPanel {
  std::string title;                     // with the unit
  int digits = 1;                        // of the value beside each bar
  bool sign = false;                     // a '+' before positive ones
  std::vector<std::vector<Bar>> groups;  // as many as the figure's groups, a bar for each series
};

struct BarFigure {
  Heading heading;
  std::vector<std::string> groups;
  std::vector<Series> series;
  std::vector<BarPanel> panels;  // below each other
};

Canvas DrawBars(const BarFigure& figure);

}  // namespace haq::plot
