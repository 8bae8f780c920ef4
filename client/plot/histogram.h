// How a tensor's values are spread, and the range that each method chose for them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/plot/figure.h"

namespace haq::plot {

struct MarkedRange {
  std::string name;
  Color color;
  double low = 0, high = 0;
};

struct HistogramFigure {
  Heading heading;
  std::string value_title;   // below the axis of values
  double low = 0, high = 0;  // of the bins, which are equally wide
  std::vector<int64_t> counts;
  std::vector<MarkedRange> ranges;
};

// Counts over a logarithmic axis, since it is the rare values that ranges cut; below it a bar for
// each range.
Canvas DrawHistogram(const HistogramFigure& figure);

}  // namespace haq::plot
