#include "core/quant/wide.h"

#include <algorithm>
#include <charconv>

namespace haq::quant {

Status CheckWide(const WideChoice& wide, const std::string& prefix) {
  if (wide.count < 0 || wide.count > kMaxWideTensors) {
    return InvalidField(prefix + "wide_count", "must be 0 (none) to {}, found {}", kMaxWideTensors,
                        wide.count);
  }
  const std::string field = prefix + "wide_tensors";
  if (wide.count > 0 && !wide.tensors.empty()) {
    return InvalidField(field, "must be empty when wide_count is not 0, found {} names",
                        wide.tensors.size());
  }
  if (static_cast<int64_t>(wide.tensors.size()) > kMaxWideTensors) {
    return InvalidField(field, "must be at most {} names, found {}", kMaxWideTensors,
                        wide.tensors.size());
  }
  int64_t bytes = 0;
  for (size_t i = 0; i < wide.tensors.size(); ++i) {
    if (wide.tensors[i].empty()) {
      return InvalidField(fmt::format("{}[{}]", field, i), "must not be empty");
    }
    bytes += static_cast<int64_t>(wide.tensors[i].size());
  }
  if (bytes <= kMaxWideNameBytes) return {};
  return InvalidField(field, "must have at most {} bytes together, found {}", kMaxWideNameBytes,
                      bytes);
}

Result<WideChoice> ParseWide(std::string_view text, const std::string& field) {
  WideChoice wide;
  const char* const end = text.data() + text.size();
  const auto number = std::from_chars(text.data(), end, wide.count);
  if (number.ptr == end && !text.empty()) {
    if (number.ec == std::errc() && wide.count >= 0 && wide.count <= kMaxWideTensors) return wide;
    return InvalidField(field, "must be 0 to {}, or names of tensors, found {}", kMaxWideTensors,
                        text);
  }
  wide.count = 0;
  for (size_t at = 0; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    wide.tensors.emplace_back(text.substr(at, comma - at));
    if (wide.tensors.back().empty()) {
      return InvalidField(field, "has an empty name: \"{}\"; must be a number or NAME,NAME,..",
                          text);
    }
    at = comma + 1;
  }
  return wide;
}

}  // namespace haq::quant
