// Where each tensor lives in the arena. For the sources of this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/artifact/model.h"

namespace haq::runtime {

// Bytes of one sample of the tensor.
size_t SampleBytes(const artifact::Tensor& tensor);

struct Place {
  // Of the block that the tensor lives in, for one sample: a multiple of 64. For a batch of n
  // samples every block's offset and size are n times as large.
  size_t offset = 0;
  // From one sample to the next.
  size_t sample_bytes = 0;
  // A tensor inside a concatenation: where its channels begin, and the bytes from one of its pixels
  // to the next. 0 for tensors whose bytes are consecutive.
  size_t inner = 0, pixel_bytes = 0;

  uint8_t* Find(uint8_t* arena, int64_t batch) const {
    return arena + offset * static_cast<size_t>(batch) + inner;
  }
};

struct MemoryPlan {
  std::vector<Place> places;  // by tensor
  size_t arena_bytes = 0;     // for one sample
};

// Tensors that are never alive together share bytes; both sides of a Reshape are the same bytes;
// what a convolution computes for a concatenation of channels alone is written in its place there;
// a convolution writes over its residual where nobody reads that later, unless it writes into a
// concatenation or the residual has been reshaped.
// A layer's output never overlaps its inputs otherwise. The model has been verified.
MemoryPlan PlanMemory(const artifact::Model& model);

}  // namespace haq::runtime
