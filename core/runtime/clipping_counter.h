// Counts, while a session runs, how often the levels of chosen tensors lie at an end of their
// range.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/artifact/clipping.h"
#include "core/runtime/session.h"

namespace haq::runtime {

// Immutable, shared by any number of threads.
class ClippingCounter {
 public:
  // `tensors` are of `model`, as artifact::ReadClipping gives them; their own counts are not read.
  ClippingCounter(std::shared_ptr<const LoadedModel> model,
                  std::vector<artifact::TensorClipping> tensors);

  // What runs with this tap adds to `counts`, which has an element for each of `tensors` and must
  // outlive it. One run at a time.
  Session::Tap TapInto(std::span<int64_t> counts) const;
  size_t size() const { return tensors_.size(); }

 private:
  std::shared_ptr<const LoadedModel> model_;
  std::vector<artifact::TensorClipping> tensors_;
  std::vector<int32_t> place_;  // in tensors_, by tensor of the model; -1: not counted
};

}  // namespace haq::runtime
