// Which values of a graph become tensors, which share their quantization, and with which
// parameters.
#pragma once

#include <set>
#include <vector>

#include "core/base/status.h"
#include "core/ir/graph.h"
#include "core/lower/lower.h"
#include "core/quant/params.h"

namespace haq::lower {

// An addition that a convolution does before its last rounding. The layer stands in the Add's
// place.
struct FusedAdd {
  int conv = -1, add = -1;    // nodes; the first a Conv2d, or a ChannelAffine of images
  ir::ValueId residual = -1;  // the other summand
  bool exists() const { return add >= 0; }
};

struct Plan {
  // Per node: the Clamp node that it swallows, or -1. A swallowed Clamp has skipped[node] set.
  std::vector<int> fused_clamp;
  // Per node: the fused addition that it is a part of, as Add or as convolution (then skipped[node]
  // is set), if any.
  std::vector<FusedAdd> fused_add;
  std::vector<bool> skipped;
  // Per value: its parameters, the number of bits among them. Values between a node and the clamp
  // it swallowed have none that matter.
  std::vector<quant::TensorParams> params;
};

// A convolution's result that only an addition of equal shapes reads is not rounded to 8 bits: the
// convolution does the addition (of two that qualify, the later one). `keep_apart` lists the Add
// nodes that are not fused so.
//
// Values that pass through max pooling, reshaping, slicing, padding share one set of parameters,
// and so do the inputs of a concatenation where sharing costs less than requantizing: an input that
// only the concatenation reads, and one whose own range is nearly as wide. The range of a set is
// the union of its members'.
Result<Plan> MakePlan(const ir::Graph& graph, const std::vector<quant::Range>& ranges,
                      const Options& options, const std::set<int>& keep_apart = {});

// As lower::WideCandidates.
Result<std::vector<bool>> PlanWideCandidates(const ir::Graph& graph,
                                             const std::vector<quant::Range>& ranges,
                                             const Options& options);

// Real-valued scale of the softmax output: 16 bits over [0, 1].
inline constexpr float kSoftmaxScale = 1.0f / 65535;

}  // namespace haq::lower
