// Cross-layer equalization: moves scale between the channels of two layers with a positively
// homogeneous function between them, so that what shares one scale has similar magnitudes.
//
// For a layer A, its output channel c, and the layers B that read it,
//     B(f(A(x))) = B'(f'(A'(x)))   with   A'_c = s_c A_c,   B'_{.,c} = B_{.,c} / s_c,
// where f is a clamp from 0 (ReLU, ReLU6: the upper end becomes s_c times what it was), a leaky
// ReLU, pooling, or nothing. In exact arithmetic the network's function does not change.
// ("Data-Free Quantization Through Weight Equalization and Bias Correction", Nagel et al. 2019,
// which makes the weights' ranges equal; here the s minimize an estimate of the noise, see
// docs/method.md.)
#pragma once

#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/correct/channel_statistics.h"
#include "core/ir/graph.h"
#include "core/quant/params.h"

namespace haq::correct {

// What was found to be equalizable: a value whose channels may be scaled.
struct EqualizablePair {
  int producer = -1;           // node: Conv2d or Linear
  std::vector<int> between;    // nodes from the producer to the value, and after it
  ir::ValueId value = -1;      // after the clamp: what is stored
  std::vector<int> consumers;  // nodes: Conv2d with one group or depthwise, Linear
};
std::vector<EqualizablePair> FindEqualizablePairs(const ir::Graph& graph);

// The values whose statistics Equalize needs, for ChannelStatistics.
std::vector<ChannelStatistics::Wanted> EqualizeNeeds(const ir::Graph& graph);

struct EqualizedPair {
  ir::ValueId value = -1;
  std::string producer;  // names of the nodes
  std::vector<std::string> consumers;
  double noise_before = 0, noise_after = 0;        // estimated, in the same arbitrary unit
  double smallest_factor = 1, largest_factor = 1;  // s_c of the channels
};

// Rewrites `graph` (which stays verified). Pairs whose estimated noise falls by less than a tenth
// stay as they are. Returns the pairs that were changed, in order.
Result<std::vector<EqualizedPair>> Equalize(ir::Graph& graph, const ChannelStatistics& statistics,
                                            quant::WeightGranularity granularity);

}  // namespace haq::correct
