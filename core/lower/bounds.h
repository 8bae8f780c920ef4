// What a network's operators allow their results to be, whatever the input.
#pragma once

#include <vector>

#include "core/ir/graph.h"
#include "core/lower/lower.h"
#include "core/quant/params.h"

namespace haq::lower {

// Per value of the verified graph a range that it cannot leave; infinite where nothing bounds it,
// as the network's input. Not the narrowest such range: it follows from the operators and the
// ranges of their operands, not from weights.
std::vector<quant::Range> ValueBounds(const ir::Graph& graph);

// A decision's tensor whose levels end where its values need not.
struct ClippedTensor {
  int32_t tensor = -1;             // of the model
  bool low = false, high = false;  // whether values below level 0, above level 255 can occur
};
// The 8-bit tensors of which at least one end cuts values off, in order of execution, but for those
// whose levels are copies of others': results of pooling by maximum, concatenation, reshaping and
// what else moves values.
std::vector<ClippedTensor> ClippedTensors(const ir::Graph& graph, const Lowered& lowered);

}  // namespace haq::lower
