// Rewrites that leave the function of a graph as it is and make it ready to be quantized.
#pragma once

#include "core/ir/graph.h"

namespace haq::ir {

// Removes nodes whose value nothing reads.
void RemoveDeadNodes(Graph& graph);

// Folds a ChannelAffine into the convolution or linear layer before it when nothing else reads that
// layer. (A ChannelAffine before a padded convolution stays: padding with zero happens after it.)
void FoldChannelAffine(Graph& graph);

// Folds a Pad of zeros on H and W into the padding of the convolutions that read it, when all of
// its readers are convolutions; and merges nested clamps.
void FoldPadsAndClamps(Graph& graph);

// All of the above until nothing changes, then Verify.
Status Simplify(Graph& graph);

}  // namespace haq::ir
