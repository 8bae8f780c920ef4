// Reading the network's answer out of a ModelInferResponse.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/status.h"
#include "inference/inference.pb.h"

namespace haq::client {

// The first output, FP32 of shape [count, classes], from raw or typed contents, a row a sample.
// kInternal when the response contradicts itself or what was asked.
Result<std::vector<std::vector<float>>> OutputRows(const inference::ModelInferResponse& response,
                                                   int64_t count);

struct Ranked {
  int64_t index = 0;
  float score = 0;
};
// The `k` largest, falling; equal scores in the order of their indices.
std::vector<Ranked> TopK(const std::vector<float>& scores, int64_t k);

}  // namespace haq::client
