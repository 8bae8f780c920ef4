// Names of the ways to choose a tensor's range: core/calib implements them, the server only checks
// the name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace haq::quant {

inline constexpr std::string_view kDefaultMethod = "redistribution";

enum class RangeMethod {
  kRedistribution,
  kMinMax,
  kMovingMinMax,
  kHistogram,
  kPercentile,
  kKl,
};

// "redistribution", "minmax", "moving_minmax", "histogram", "percentile", "kl".
std::string_view RangeMethodName(RangeMethod method);
// In the order of the enumeration.
std::vector<std::string> MethodNames();
// kInvalidArgument on field `field` lists what exists.
Result<RangeMethod> ParseRangeMethod(std::string_view text, std::string_view field = "method");
Status CheckMethod(std::string_view method, std::string_view field = "method");

}  // namespace haq::quant
