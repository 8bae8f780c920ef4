#include "server/api/torchscript_file.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/base/file.h"

namespace haq::server::api {
namespace {

// APPNOTE.TXT, sections 4.3.7 (local header), 4.3.12 (directory entry), 4.3.16 (end of directory).
constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint32_t kEntrySignature = 0x02014b50;
constexpr uint32_t kEndSignature = 0x06054b50;
constexpr size_t kLocalBytes = 30;
constexpr size_t kEntryBytes = 46;
constexpr size_t kEndBytes = 22;
constexpr size_t kMaxCommentBytes = 0xffff;

using Bytes = std::span<const uint8_t>;

uint32_t Read16(Bytes bytes, size_t at) { return bytes[at] | bytes[at + 1] << 8; }
uint32_t Read32(Bytes bytes, size_t at) { return Read16(bytes, at) | Read16(bytes, at + 2) << 16; }

Status Truncated(std::string_view what) {
  return InvalidArgument("the file is truncated or damaged: {}", what);
}

// The end record is the last thing in the file, but for a comment.
std::optional<size_t> FindEnd(Bytes file) {
  if (file.size() < kEndBytes) return std::nullopt;
  const size_t last = file.size() - kEndBytes;
  const size_t first = last > kMaxCommentBytes ? last - kMaxCommentBytes : 0;
  for (size_t at = last + 1; at-- > first;) {
    if (Read32(file, at) == kEndSignature &&
        at + kEndBytes + Read16(file, at + 20) == file.size()) {
      return at;
    }
  }
  return std::nullopt;
}

struct Found {
  bool data = false, constants = false, code = false;
};

void Note(std::string_view name, Found& found) {
  const size_t slash = name.find('/');
  if (slash == std::string_view::npos) return;
  const std::string_view inner = name.substr(slash + 1);
  found.data |= inner == "data.pkl";
  found.constants |= inner == "constants.pkl";
  found.code |= inner.substr(0, 5) == "code/";
}

Status ReadDirectory(Bytes file, Bytes directory, size_t entries, size_t contents_end,
                     Found& found) {
  size_t at = 0;
  for (size_t i = 0; i < entries; ++i) {
    if (directory.size() - at < kEntryBytes || Read32(directory, at) != kEntrySignature) {
      return Truncated("its zip directory ends early");
    }
    const size_t name_bytes = Read16(directory, at + 28);
    const size_t entry_bytes =
        kEntryBytes + name_bytes + Read16(directory, at + 30) + Read16(directory, at + 32);
    if (directory.size() - at < entry_bytes) return Truncated("its zip directory ends early");
    const uint64_t begin = Read32(directory, at + 42);
    const uint64_t compressed = Read32(directory, at + 20);
    if (begin + kLocalBytes + compressed > contents_end || Read32(file, begin) != kLocalSignature) {
      return Truncated("an entry lies outside of it");
    }
    Note({reinterpret_cast<const char*>(directory.data()) + at + kEntryBytes, name_bytes}, found);
    at += entry_bytes;
  }
  return {};
}

}  // namespace

Status CheckTorchScriptFile(const std::filesystem::path& path) {
  HAQ_ASSIGN_OR_RETURN(const MappedFile mapped, MappedFile::Open(path));
  const Bytes file = mapped.bytes();
  if (file.size() < 4 || Read32(file, 0) != kLocalSignature) {
    return InvalidArgument(
        "the file is not a TorchScript model: it is no zip archive, which torch.jit.save writes");
  }
  const auto end = FindEnd(file);
  if (!end) return Truncated("the end of its zip directory is missing");
  const size_t entries = Read16(file, *end + 10);
  const uint64_t size = Read32(file, *end + 12);
  const uint64_t offset = Read32(file, *end + 16);
  if (entries == 0xffff || offset == 0xffffffff) {
    return Unsupported("the file is a zip archive of more than 65534 entries or 4 GiB");
  }
  if (offset + size > *end) return Truncated("its zip directory lies outside of it");
  Found found;
  HAQ_RETURN_IF_ERROR(ReadDirectory(file, file.subspan(offset, size), entries, offset, found));
  const std::string_view missing = !found.data        ? "data.pkl"
                                   : !found.constants ? "constants.pkl"
                                   : !found.code      ? "code/"
                                                      : "";
  if (missing.empty()) return {};
  return InvalidArgument(
      "the file is not a TorchScript model: its archive has no {} (a file of torch.save holds "
      "weights only; torch.jit.save writes a model)",
      missing);
}

}  // namespace haq::server::api
