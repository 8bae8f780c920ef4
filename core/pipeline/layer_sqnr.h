// Per-tensor SQNR of the integer model against the FP32 network, accumulated: both run from the
// image, so a tensor's figure contains the errors of everything before it. Private to
// core/pipeline.
#pragma once

#include <vector>

#include "core/base/status.h"
#include "core/eval/accuracy.h"
#include "core/float_exec/executor.h"
#include "core/ir/graph.h"
#include "core/lower/lower.h"
#include "core/runtime/session.h"

namespace haq::pipeline {

class LayerSqnr {
 public:
  // `graph` and `lowered` must outlive the object.
  LayerSqnr(const ir::Graph& graph, const lower::Lowered& lowered);

  // Adds one image [C, H, W].
  Status Add(float_exec::Executor& executor, runtime::Session& session,
             std::span<const float> image);
  // One figure per decision of `lowered`, in dB.
  std::vector<double> Decibels() const;

 private:
  const ir::Graph& graph_;
  const lower::Lowered& lowered_;
  std::vector<int> decision_of_tensor_;   // -1: a helper tensor
  std::vector<int> decision_of_value_;    // -1: fused away
  std::vector<std::vector<float>> fp32_;  // per decision, [C, H, W]
  std::vector<eval::Sqnr> sqnr_;          // per decision
  std::vector<float> dequantized_, output_;
};

}  // namespace haq::pipeline
