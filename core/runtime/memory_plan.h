// Where each tensor lives in the arena. For the sources of this folder.
#pragma once

#include <cstddef>
#include <vector>

#include "core/artifact/model.h"

namespace haq::runtime {

// Bytes of one sample of the tensor.
size_t SampleBytes(const artifact::Tensor& tensor);

struct MemoryPlan {
  // Per tensor, for one sample: a multiple of 64. For a batch of n samples every offset, and
  // arena_bytes, is n times as large.
  std::vector<size_t> offsets;
  size_t arena_bytes = 0;
};

// Tensors that are never alive together share bytes; both sides of a Reshape are the same bytes.
// A layer's output never overlaps its inputs otherwise. The model has been verified.
MemoryPlan PlanMemory(const artifact::Model& model);

}  // namespace haq::runtime
