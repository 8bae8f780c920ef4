// Which tensors a job keeps at 16 bits: a number of the worst ones, or their names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace haq::quant {

// Limits of one job: more is a mistake, and a list of jobs has to fit into one answer.
inline constexpr int64_t kMaxWideTensors = 1000;
inline constexpr int64_t kMaxWideNameBytes = 16 << 10;  // of all names together

struct WideChoice {
  int64_t count = 0;                 // the worst `count` tensors
  std::vector<std::string> tensors;  // or these
  bool operator==(const WideChoice&) const = default;
};

// kInvalidArgument on `prefix` + "wide_count" or "wide_tensors": a count that is negative, a limit
// that is exceeded, a name that is empty, both at once.
Status CheckWide(const WideChoice& wide, const std::string& prefix = "");

// "6" is a count, "layer1,layer2" are names; kInvalidArgument on field `field`.
Result<WideChoice> ParseWide(std::string_view text, const std::string& field);

}  // namespace haq::quant
