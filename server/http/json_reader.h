// Reads the JSON of an inference request. What it allocates is bounded by a few times the size of
// the text: the numbers of "data" go straight into arrays, and everything else is small by limits.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace haq::server::http {

// "data" of an input: numbers (true and false are 1 and 0) or strings, in the order of the text,
// nested as deep as they like to be.
struct DataArray {
  bool present = false;
  std::vector<float> numbers;
  std::vector<std::string> strings;
};

struct InferenceJson {
  nlohmann::json document;      // an object, without inputs[i].data
  std::vector<DataArray> data;  // one for each element of "inputs"
};

inline constexpr size_t kMaxJsonDepth = 32;
inline constexpr size_t kMaxJsonValues = 10'000;   // outside of "data"
inline constexpr size_t kMaxDataStrings = 65'536;  // in one "data": one is one image

// kInvalidArgument with the position for text that is no JSON or no object, that nests deeper or
// has more values than the limits, or whose data holds null or an object.
Result<InferenceJson> ReadInferenceJson(std::string_view text);

}  // namespace haq::server::http
