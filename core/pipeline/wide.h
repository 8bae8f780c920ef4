// The tensors that a job keeps at 16 bits: those it names, found in its graph, or those that cost
// most; their ranges, and what they cost in time. Private to core/pipeline.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/calib/calibrator.h"
#include "core/ir/graph.h"
#include "core/pipeline/sensitivity.h"

namespace haq::pipeline {

// One value per name, in their order. kInvalidArgument on wide_tensors[i] for a name that no tensor
// has, with the names that are most like it.
Result<std::vector<ir::ValueId>> FindWideTensors(const ir::Graph& graph,
                                                 const std::vector<std::string>& names);

// The range that each value gets at 16 bits, by whatever method the others are chosen: twice what
// calibration saw. One bit of sixteen buys that nothing is clipped that calibration has not seen.
Result<std::vector<quant::Range>> WideRanges(const calib::Calibrator& calibrator);

// By decision of `lowered`, which was made with `options`: whether the tensor has 8 bits and can
// have 16.
Result<std::vector<bool>> CanBeWidened(const ir::Graph& graph,
                                       const std::vector<quant::Range>& ranges,
                                       const lower::Options& options,
                                       const lower::Lowered& lowered);

// The decisions, at most `count`, whose rounding together costs the output most, given that noises
// add up. Tensors that hold the same levels go together, and each of them counts. `allowed`, by
// decision, says which can have 16 bits.
std::vector<int> ChooseWide(const std::vector<TensorSensitivity>& tensors,
                            const std::vector<bool>& allowed, int64_t count);

// The names of the tensors that have 16 bits in `wide` for being among `values`, or for sharing the
// levels of one; `narrow` was lowered without them.
std::vector<std::string> WidenedTensors(const lower::Lowered& narrow, const lower::Lowered& wide,
                                        const std::vector<ir::ValueId>& values);

// Processor time of one thread for one image: the medians of runs of both models in turn.
struct WideCost {
  double narrow_ms = 0, wide_ms = 0;
};
// `image` is [C, H, W].
Result<WideCost> MeasureWideCost(const artifact::Model& narrow, const artifact::Model& wide,
                                 std::span<const float> image);

// What a job's --wide came to.
struct WideOutcome {
  std::vector<std::string> tensors;  // in order of execution, with those that share their levels
  std::optional<WideCost> cost;      // none without such tensors
};

}  // namespace haq::pipeline
