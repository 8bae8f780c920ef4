// How often a lowered network's levels lie at an end that cuts values off: what serving compares
// its own counts with. Private to core/pipeline.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/artifact/clipping.h"
#include "core/lower/lower.h"
#include "core/pipeline/image_batches.h"
#include "core/pipeline/integer_runner.h"
#include "core/runtime/clipping_counter.h"

namespace haq::pipeline {

class IntegerClipping {
 public:
  // Both must outlive it; the model is not changed.
  IntegerClipping(const ir::Graph& graph, const lower::Lowered& lowered);

  // Before the first Add. `pool` must outlive the object.
  Status Prepare(ThreadPool& pool);
  // Images as the served network takes them.
  Status Add(const Batch& batch);

  int64_t images() const { return images_; }
  artifact::Clipping Counts() const;

 private:
  const lower::Lowered& lowered_;
  std::vector<artifact::TensorClipping> tensors_;
  std::unique_ptr<IntegerRunner> runner_;
  std::optional<runtime::ClippingCounter> counter_;
  std::vector<std::vector<int64_t>> counts_;  // by thread and tensor
  std::vector<runtime::Session::Tap> taps_;   // by thread
  std::vector<float> output_;
  int64_t images_ = 0;
};

}  // namespace haq::pipeline
