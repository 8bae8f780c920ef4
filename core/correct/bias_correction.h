// Bias correction: rounding weights and activations moves the mean of a layer's outputs; the bias
// takes it back.
//
// For output channel o of y = sum_k W_k x_k + b, with the integer layer's W^ and x^ on the FP32
// network's activations,
//     E[y^] - E[y] = sum_k (W^_k E[x^_k] - W_k E[x_k])
// is subtracted from b; where an addition is fused into the layer, the mean error of the other
// summand too. Means are per channel over calibration images; a tap that reads padding reads exact
// zeros there. ("Data-Free Quantization Through Weight Equalization and Bias Correction", Nagel et
// al. 2019, section 4.2, with measured means.)
#pragma once

#include <vector>

#include "core/base/status.h"
#include "core/correct/channel_statistics.h"
#include "core/ir/graph.h"
#include "core/lower/lower.h"

namespace haq::correct {

// The values whose statistics CorrectBiases needs, with their parameters, for ChannelStatistics.
std::vector<ChannelStatistics::Wanted> BiasCorrectionNeeds(const ir::Graph& graph,
                                                           const lower::Lowered& lowered);

// Changes the biases of `graph`, from which `lowered` was made; lower it again with the same
// ranges. kFailedPrecondition without statistics.
Status CorrectBiases(ir::Graph& graph, const lower::Lowered& lowered,
                     const ChannelStatistics& statistics);

}  // namespace haq::correct
