// One line a tensor, one dot a method: figures of many things that have names.
#pragma once

#include <string>
#include <vector>

#include "client/plot/figure.h"

namespace haq::plot {

struct DotRow {
  std::string name;
  // For each panel a value for each series; what is not finite has no dot.
  std::vector<std::vector<double>> values;
};

struct DotFigure {
  Heading heading;
  std::vector<std::string> panels;  // their titles with units, beside each other
  std::vector<Series> series;
  std::vector<DotRow> rows;
};

Canvas DrawDots(const DotFigure& figure);

}  // namespace haq::plot
