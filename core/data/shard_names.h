// How entries of a tar shard are named. Private to this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/data/image_header.h"

namespace haq::data {

inline constexpr int64_t kTarBlockBytes = 512;
inline constexpr int64_t kMaxLabel = std::numeric_limits<int32_t>::max();

enum class EntryKind { kImage, kLabel };

struct EntryName {
  std::string key;        // what an image and its label share: all before the extension
  std::string printable;  // the whole name, ASCII without control characters
  EntryKind kind = EntryKind::kImage;
};

// kInvalidArgument for a name that has no key or another extension than jpg, jpeg, png and cls.
Result<EntryName> ParseEntryName(std::string_view name);

// The key of an image: its path without extension; '/' and '.' become '_', other bytes than
// letters, digits and "_-%+=@," become %XX, and a key of more than 80 bytes ends in a digest of the
// whole. Where that is `previous` too, the extension (or "_") is appended, so that neighbours
// differ. A key made here is its own key.
std::string KeyOf(std::string_view path, std::string_view previous);

std::string_view ExtensionOf(ImageFormat format);

// The same text with control characters and bytes outside ASCII as \xNN.
std::string Printable(std::string_view text);

}  // namespace haq::data
