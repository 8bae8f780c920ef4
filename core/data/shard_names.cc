#include "core/data/shard_names.h"

#include <algorithm>
#include <cctype>

#include "core/base/sha256.h"

namespace haq::data {
namespace {

// Leaves room for the extension in the 100 bytes of a plain tar header.
constexpr size_t kMaxKeyBytes = 80;
constexpr size_t kDigestDigits = 16;

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return lower;
}

bool IsPlain(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_-%+=@,").find(static_cast<char>(c)) != std::string_view::npos;
}

std::string Encoded(std::string_view path) {
  std::string key;
  for (const unsigned char c : path) {
    if (IsPlain(c)) {
      key += static_cast<char>(c);
    } else if (c == '/' || c == '.') {
      key += '_';
    } else {
      key += fmt::format("%{:02X}", c);
    }
  }
  if (key.size() <= kMaxKeyBytes) return key;
  const std::string digest =
      ToHex(Sha256Of({reinterpret_cast<const uint8_t*>(key.data()), key.size()}));
  return key.substr(0, kMaxKeyBytes - kDigestDigits - 1) + "-" + digest.substr(0, kDigestDigits);
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string printable;
  for (const unsigned char c : text) {
    if (c >= 0x20 && c < 0x7f) {
      printable += static_cast<char>(c);
    } else {
      printable += fmt::format("\\x{:02x}", c);
    }
  }
  return printable;
}

Result<EntryName> ParseEntryName(std::string_view name) {
  const size_t slash = name.rfind('/');
  const size_t base = slash == std::string_view::npos ? 0 : slash + 1;
  const size_t dot = name.find('.', base);
  EntryName parsed;
  parsed.printable = Printable(name);
  if (dot == base || dot == std::string_view::npos) {
    return InvalidArgument("{}: an entry is named <key>.jpg, <key>.png or <key>.cls",
                           parsed.printable);
  }
  parsed.key = name.substr(0, dot);
  const std::string extension = Lower(name.substr(dot + 1));
  if (extension == "cls") {
    parsed.kind = EntryKind::kLabel;
  } else if (extension != "jpg" && extension != "jpeg" && extension != "png") {
    return InvalidArgument(
        "{}: the extension (all after the name's first dot) must be jpg, jpeg, png or cls",
        parsed.printable);
  }
  return parsed;
}

std::string KeyOf(std::string_view path, std::string_view previous) {
  const size_t slash = path.rfind('/');
  const size_t dot = path.rfind('.');
  const bool has_extension =
      dot != std::string_view::npos && (slash == std::string_view::npos || dot > slash);
  std::string key = Encoded(path.substr(0, has_extension ? dot : path.size()));
  if (key.empty()) key = "_";
  if (key != previous) return key;
  return has_extension ? Encoded(path) : key + "_";
}

std::string_view ExtensionOf(ImageFormat format) {
  return format == ImageFormat::kJpeg ? "jpg" : "png";
}

}  // namespace haq::data
