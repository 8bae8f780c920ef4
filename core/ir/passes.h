// Rewrites that leave the function of a graph as it is and make it ready to be quantized.
#pragma once

#include "core/ir/graph.h"

namespace haq::ir {

// Each pass needs a verified graph, leaves a verified one (but see Simplify) and says whether it
// changed anything; if so, values are renumbered. A node that takes over another one's work keeps
// its own name, and its output the name it had.

// Removes nodes whose value nothing reads, and their values.
bool RemoveDeadNodes(Graph& graph);

// Removes what returns its input: affine with scale 1 and shift 0, unbounded clamp, pad by nothing,
// a slice of everything, a concatenation of one, reshape and permute to the same; and merges
// neighbours of the kinds reshape, permute and affine.
bool RemoveIdentities(Graph& graph);

// Folds a ChannelAffine into the convolution or linear layer before it when nothing else reads that
// layer, else into the one after it when that is the affine's only reader. (A shift before a padded
// convolution stays: padding with zero happens after it.)
bool FoldChannelAffine(Graph& graph);

// Finds activations that are spelled out: x * sigmoid(x) is Silu, clamp(x + 3, 0, 6) / 6 is
// HardSigmoid, x * that is HardSwish.
bool FuseActivations(Graph& graph);

// Folds a Pad of zeros on H and W into the padding of the convolutions that read it, when all of
// its readers are convolutions; and merges nested clamps.
bool FoldPadsAndClamps(Graph& graph);

// Where a channel has one value whatever the input (the weights that make it are zero), takes that
// value into the bias of the convolution or linear layer that reads it, whose weights on the
// channel become zero: as large as training may have left them, they say nothing. (A value other
// than zero before a padded convolution stays: the padding is zero.)
bool FoldConstantChannels(Graph& graph);

// All of the above until nothing changes, then Verify: weights that were finite may no longer be
// after folding.
Status Simplify(Graph& graph);

}  // namespace haq::ir
