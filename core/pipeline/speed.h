// What a job's comparison of INT8 and FP32 in time came to. Private to core/pipeline.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/artifact/model.h"
#include "core/base/status.h"
#include "core/ir/graph.h"

namespace haq::pipeline {

// One sample on one thread of this machine, processor time; medians of runs in turn.
struct Speed {
  double int8_ms = 0, fp32_ms = 0;
  int64_t rounds = 0;
  // What ran FP32: "torchscript", the submitted model under LibTorch's optimize_for_inference, or
  // "graph", this project's own FP32 execution, where that is not possible (of ONNX models).
  std::string fp32_by;
  std::string kernels;  // that INT8 ran on
};

// `submitted` are the bytes of a model whose imported graph is `graph`; `artifact` what became of
// it. `sample` is one input of both.
Result<Speed> MeasureSpeed(std::span<const uint8_t> submitted, const ir::Graph& graph,
                           const artifact::Model& artifact, std::span<const float> sample);

}  // namespace haq::pipeline
