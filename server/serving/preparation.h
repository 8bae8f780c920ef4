// A request checked against the model that will answer it.
#pragma once

#include <span>
#include <variant>
#include <vector>

#include "core/base/status.h"
#include "server/serving/request.h"
#include "server/serving/served_model.h"
#include "server/serving/settings.h"

namespace haq::server::serving {

using EncodedImage = std::span<const uint8_t>;

// Values of FP32, UINT8 or INT8 as they came in, possibly at any address.
struct TensorValues {
  std::span<const uint8_t> bytes;
  size_t element_bytes = 4;
  uint8_t flip = 0;  // of one byte: what makes its level of it by exclusive or
};

struct Prepared {
  int64_t batch = 0;                                              // N
  std::variant<TensorValues, std::vector<EncodedImage>> samples;  // images: one a sample
};

// kInvalidArgument names the field (inputs[0].shape, outputs[0].name, ...), what it was and what is
// allowed; kResourceExhausted for a batch over Settings::max_batch and an image over
// Settings::max_image_bytes. What is returned refers to the request's memory.
Result<Prepared> Prepare(const Request& request, const ServedModel& model,
                         const Settings& settings);

// Writes samples [first, first + count) to `floats`. kInvalidArgument names the element whose image
// could not be decoded or does not fit the model.
Status FillSamples(const Prepared& prepared, int64_t first, int64_t count, const ServedModel& model,
                   const Settings& settings, std::span<float> floats);

}  // namespace haq::server::serving
