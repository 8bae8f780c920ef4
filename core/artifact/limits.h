// What an artifact may be at most. Every bound is checked before anything of that size is allocated
// or looped over; a file that exceeds one is refused with kResourceExhausted naming the limit.
#pragma once

#include <cstdint>

namespace haq::artifact {

struct ArtifactLimits {
  uint64_t file_bytes = uint64_t{4} << 30;
  uint64_t tensors = 1 << 14;
  uint64_t layers = 1 << 14;
  uint64_t layer_inputs = 1 << 10;            // of one layer
  uint64_t rank = 8;                          // of a stored shape
  uint64_t name_bytes = 1 << 12;              // of a tensor, a layer or a class
  uint64_t json_bytes = 64 << 20;             // of each JSON text
  uint64_t classes = 1 << 20;                 // class names
  uint64_t golden = 16;                       // golden inputs
  int64_t tensor_elements = 1 << 30;          // of one sample
  int64_t total_elements = int64_t{1} << 36;  // of one sample, all tensors
};

}  // namespace haq::artifact
