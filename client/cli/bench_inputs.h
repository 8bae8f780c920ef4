// The requests that `haq bench-serve` sends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "inference/inference.pb.h"

namespace haq::client {

struct BenchInputs {
  std::string model = {}, version = {};  // short name; version "" is the served one
  std::string datatype = "FP32";         // FP32, UINT8, INT8; BYTES when there are files
  std::vector<std::string> files = {};   // images, sent as they are
  int64_t batch = 1;
  int64_t distinct = 8;  // requests with values of their own, so that no cache knows them
  uint64_t seed = 1;
};

// Raw requests for the one input of `metadata`: drawn values (FP32 of a standard normal
// distribution, levels evenly), or the files in turn. kUnsupported for models with several inputs.
Result<std::vector<inference::ModelInferRequest>> MakeBenchRequests(
    const inference::ModelMetadataResponse& metadata, const BenchInputs& inputs);

}  // namespace haq::client
