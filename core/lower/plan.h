// Which values of a graph become tensors, which share their quantization, and with which
// parameters.
#pragma once

#include <vector>

#include "core/base/status.h"
#include "core/ir/graph.h"
#include "core/lower/lower.h"
#include "core/quant/params.h"

namespace haq::lower {

struct Plan {
  // Per node: the Clamp node that it swallows, or -1. A swallowed Clamp has skipped[node] set.
  std::vector<int> fused_clamp;
  std::vector<bool> skipped;
  // Per value: its parameters. Values between a node and the clamp it swallowed have none that
  // matter.
  std::vector<quant::TensorParams> params;
};

// Values that pass through max pooling, reshaping, slicing, padding share one set of parameters,
// and so do the inputs of a concatenation where sharing costs less than requantizing: an input that
// only the concatenation reads, and one whose own range is nearly as wide. The range of a set is
// the union of its members'.
Result<Plan> MakePlan(const ir::Graph& graph, const std::vector<quant::Range>& ranges,
                      const Options& options);

// Real-valued scale of the softmax output: 16 bits over [0, 1].
inline constexpr float kSoftmaxScale = 1.0f / 65535;

}  // namespace haq::lower
