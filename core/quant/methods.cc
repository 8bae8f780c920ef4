#include "core/quant/methods.h"

namespace haq::quant {
namespace {

constexpr RangeMethod kMethods[] = {
    RangeMethod::kRedistribution, RangeMethod::kMinMax,     RangeMethod::kMovingMinMax,
    RangeMethod::kHistogram,      RangeMethod::kPercentile, RangeMethod::kKl,
};

}  // namespace

std::string_view RangeMethodName(RangeMethod method) {
  switch (method) {
    case RangeMethod::kRedistribution:
      return "redistribution";
    case RangeMethod::kMinMax:
      return "minmax";
    case RangeMethod::kMovingMinMax:
      return "moving_minmax";
    case RangeMethod::kHistogram:
      return "histogram";
    case RangeMethod::kPercentile:
      return "percentile";
    case RangeMethod::kKl:
      return "kl";
  }
  return "redistribution";
}

std::vector<std::string> MethodNames() {
  std::vector<std::string> names;
  for (const RangeMethod method : kMethods) names.emplace_back(RangeMethodName(method));
  return names;
}

Result<RangeMethod> ParseRangeMethod(std::string_view text, std::string_view field) {
  for (const RangeMethod method : kMethods) {
    if (RangeMethodName(method) == text) return method;
  }
  return InvalidField(std::string(field), "unknown method \"{}\"; allowed are {}", text,
                      fmt::join(MethodNames(), ", "));
}

Status CheckMethod(std::string_view method, std::string_view field) {
  return ParseRangeMethod(method, field).status();
}

}  // namespace haq::quant
