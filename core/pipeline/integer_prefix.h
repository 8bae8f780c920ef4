// The integer network's exact tensors over a fixed set of images, while its weights are still being
// chosen from front to back. Private to core/pipeline.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/artifact/model.h"
#include "core/base/status.h"
#include "core/base/thread_pool.h"

namespace haq::pipeline {

// Of one image: two to an element that is kept at 16 bits.
size_t StoredBytes(const artifact::Tensor& tensor);

class IntegerPrefix {
 public:
  // `input` has the stored bytes (StoredBytes) of the model's input for every image. Intermediate
  // tensors of all images are kept while they take at most `limit_bytes`. `pool` must outlive the
  // object.
  IntegerPrefix(std::vector<uint8_t> input, int64_t images, size_t limit_bytes, ThreadPool& pool);

  // Called with the stored bytes of one image's tensor; at a time from several threads, for
  // different images.
  using Visitor =
      std::function<void(int64_t image, int32_t tensor, std::span<const uint8_t> bytes)>;
  // Visits `tensors`, each of which the layers before `layer` make and a later one reads. From one
  // call to the next, `layer` does not fall, and the layers before the earlier call's `layer` are
  // those of the earlier call's model.
  Status Visit(const artifact::Model& model, int32_t layer, const std::vector<int32_t>& tensors,
               const Visitor& visit);

 private:
  // The state of all images after `layer` layers is this one tensor.
  struct Frontier {
    int32_t layer = 0;
    int32_t tensor = -1;  // -1: the model's input
    std::vector<uint8_t> bytes;
  };
  int32_t TensorOf(const artifact::Model& model) const {
    return frontier_.tensor < 0 ? model.input : frontier_.tensor;
  }
  // Moves the frontier as near to `layer` as memory and the network's shape allow.
  Status Advance(const artifact::Model& model, int32_t layer);
  // Runs the layers from the frontier up to `last` and visits.
  Status Run(const artifact::Model& model, int32_t last, const std::vector<int32_t>& tensors,
             const Visitor& visit);

  const int64_t images_;
  const size_t limit_bytes_;
  ThreadPool& pool_;
  Frontier frontier_;
};

}  // namespace haq::pipeline
