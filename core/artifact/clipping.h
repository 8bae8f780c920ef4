// What a model's metadata says of clipping: the ends of which tensors' levels mean that something
// was cut off, and how often images of the calibration reached them. docs/artifact_format.md,
// "Clipping", is its grammar.
#pragma once

#include <cstdint>
#include <vector>

#include "core/artifact/model.h"
#include "core/base/status.h"

namespace haq::artifact {

// An 8-bit tensor of which level 0 (`low`), level 255 (`high`) or both are a place where larger
// values end up. An end that the network's own operators cannot pass, like the zero of a ReLU, is
// no such place.
struct TensorClipping {
  int32_t tensor = 0;  // index
  bool low = false, high = false;
  int64_t clipped = 0;  // elements that were at such an end, of all images
  bool operator==(const TensorClipping&) const = default;
};

struct Clipping {
  int64_t images = 0;
  std::vector<TensorClipping> tensors;  // in order of execution
  bool operator==(const Clipping&) const = default;
};

// Adds `clipping` to model.metadata_json, which must be a JSON object or empty.
void WriteClipping(const Clipping& clipping, Model& model);

// Without tensors for a model that says nothing of clipping. kDataLoss for what does not fit the
// model: an unknown or wide tensor, the same one twice, counts that cannot be.
Result<Clipping> ReadClipping(const Model& model);

}  // namespace haq::artifact
