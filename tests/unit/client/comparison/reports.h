// Reports and peer documents with answers that a test chooses.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "client/comparison/outcome.h"

namespace haq::comparison {

struct Answers {
  std::vector<int32_t> labels, fp32, int8;
  std::vector<float> signal, noise;
};

// Ten images, one without label. FP32 is right on 7 of 9, INT8 on 5; they agree on 7 of 10.
Answers TenImages();

nlohmann::json ReportOf(const Answers& answers);
// With one run of the observer "histogram".
nlohmann::json PeerOf(const Answers& answers);

// A row with the methods "minmax" (of `first`) and "redistribution" (of `second`).
Row RowOf(const Answers& first, const Answers& second);

}  // namespace haq::comparison
