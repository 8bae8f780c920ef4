#include "server/api/pages.h"

#include <algorithm>
#include <optional>

namespace haq::server::api {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";
constexpr size_t kMaxTokenBytes = 1024;

std::optional<std::string> FromHex(const std::string& text) {
  if (text.size() % 2 != 0 || text.size() > kMaxTokenBytes) return std::nullopt;
  std::string bytes;
  for (size_t i = 0; i < text.size(); i += 2) {
    const size_t high = kDigits.find(text[i]);
    const size_t low = kDigits.find(text[i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    bytes.push_back(static_cast<char>(high << 4 | low));
  }
  return bytes;
}

}  // namespace

Result<int64_t> PageSize(int32_t page_size, const Limits& limits) {
  if (page_size < 0) {
    return InvalidField("page_size", "must not be negative, found {}", page_size);
  }
  if (page_size == 0) return limits.default_page_size;
  return std::min<int64_t>(page_size, limits.max_page_size);
}

std::string MakePageToken(const std::string& list, const std::string& last_key) {
  std::string token;
  for (const unsigned char c : list + "\n" + last_key) {
    token.push_back(kDigits[c >> 4]);
    token.push_back(kDigits[c & 15]);
  }
  return token;
}

Result<std::string> ReadPageToken(const std::string& list, const std::string& token) {
  if (token.empty()) return std::string();
  const auto text = FromHex(token);
  const std::string prefix = list + "\n";
  if (!text || text->compare(0, prefix.size(), prefix) != 0 || text->size() == prefix.size()) {
    return InvalidField("page_token", "was not returned by this list with these arguments");
  }
  return text->substr(prefix.size());
}

}  // namespace haq::server::api
