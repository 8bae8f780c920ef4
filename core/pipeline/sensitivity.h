// What each rounding of the integer model does to the network's output by itself: the FP32 network
// runs with only that tensor, or only that layer's weights, quantized. Private to core/pipeline.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "core/eval/accuracy.h"
#include "core/float_exec/executor.h"
#include "core/ir/graph.h"
#include "core/lower/lower.h"
#include "core/pipeline/tensor_origins.h"

namespace haq::pipeline {

// What is known of one stored tensor and of the layer that makes it.
struct TensorSensitivity {
  TensorOrigin origin;
  eval::Sqnr isolated;  // of the network's output; nothing is added where origin.rounds is false
  int sum = -1;         // of lowered.sums, for a layer with weights
  eval::Sqnr weights;   // of the network's output, only those weights quantized
  int64_t values = 0;   // seen before they were quantized
  int64_t below = 0, above = 0;  // of them, more than half a step beyond the end levels
  std::vector<bool> dead;        // by output channel of a layer with weights: zero for every image
};

class Sensitivity {
 public:
  // `graph` and `lowered` must outlive the object; the executors that Add gets are of `graph`.
  Sensitivity(const ir::Graph& graph, const lower::Lowered& lowered);

  // Adds images [n, C, H, W]. `between` is called often; an error of it ends the call and is
  // returned. Figures depend on the images and on how the calls cut them into batches (by FP32
  // rounding alone), not on threads.
  Status Add(float_exec::Executor& executor, int64_t n, std::span<const float> images,
             const std::function<Status()>& between);

  int64_t images() const { return images_; }
  // By decision of `lowered`.
  const std::vector<TensorSensitivity>& tensors() const { return tensors_; }
  // Of all tensors and of all weights, each by itself.
  double TotalNoise() const;

 private:
  Status AddChunk(float_exec::Executor& executor, int64_t n, std::span<const float> images,
                  const std::function<Status()>& between);
  Status RunReference(float_exec::Executor& executor, int64_t n, std::span<const float> images);
  Status Isolate(const float_exec::Executor& executor, int64_t n, size_t decision);
  Status IsolateWeights(const float_exec::Executor& executor, size_t decision);
  void FindDead(size_t decision, int64_t n, std::span<const float> elements);

  const ir::Graph& graph_;
  const lower::Lowered& lowered_;
  const int64_t input_elements_, output_elements_, chunk_;
  std::vector<TensorSensitivity> tensors_;
  std::vector<int> judged_for_dead_;  // by value: the decision, or -1
  int64_t images_ = 0;
  std::vector<float> reference_;
};

// How many images the figures of a network are measured on: as many as a fixed amount of work
// allows, within limits.
int64_t SensitivityImages(const ir::Graph& graph, const lower::Lowered& lowered);

}  // namespace haq::pipeline
