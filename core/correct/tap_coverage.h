// Which of a convolution's taps read inside the image, and how often. Private to core/correct.
#pragma once

#include <vector>

#include "core/ir/graph.h"

namespace haq::correct {

// By tap (row-major, [KH][KW]): the share of output positions at which it does not read padding.
std::vector<double> TapCoverage(const ir::Graph& graph, const ir::Node& node,
                                const ir::Conv2d& conv);

}  // namespace haq::correct
