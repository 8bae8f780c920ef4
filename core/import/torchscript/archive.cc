#include "core/import/torchscript/archive.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace haq::import {

namespace {

constexpr uint32_t kLocalHeader = 0x04034b50, kDirectoryEntry = 0x02014b50;
constexpr uint32_t kEndOfDirectory = 0x06054b50, kZip64Locator = 0x07064b50, kZip64End = 0x06064b50;
constexpr size_t kLocalHeaderBytes = 30, kDirectoryEntryBytes = 46, kEndBytes = 22,
                 kZip64LocatorBytes = 20, kZip64EndBytes = 56, kMaxCommentBytes = 65535;

// Little-endian numbers at checked positions.
class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  bool Has(uint64_t at, uint64_t count) const {
    return at <= bytes_.size() && count <= bytes_.size() - at;
  }
  uint64_t Number(uint64_t at, int size) const {
    uint64_t value = 0;
    for (int i = size - 1; i >= 0; --i) value = value << 8 | bytes_[at + i];
    return value;
  }
  bool IsAt(uint64_t at, size_t size, uint32_t signature) const {
    return Has(at, size) && Number(at, 4) == signature;
  }
  size_t size() const { return bytes_.size(); }
  std::string Text(uint64_t at, uint64_t count) const {
    return {reinterpret_cast<const char*>(bytes_.data()) + at, count};
  }

 private:
  std::span<const uint8_t> bytes_;
};

struct Directory {
  uint64_t offset, entries;
};

Status Truncated(std::string_view what) {
  return InvalidArgument("the archive is truncated or damaged: {}", what);
}

Result<Directory> FindDirectory(const Reader& reader) {
  if (reader.size() < kEndBytes) return Truncated("no room for a zip directory");
  const uint64_t last = reader.size() - kEndBytes;
  const uint64_t first = last > kMaxCommentBytes ? last - kMaxCommentBytes : 0;
  std::optional<uint64_t> end;
  for (uint64_t at = last + 1; at-- > first && !end;) {
    if (reader.IsAt(at, kEndBytes, kEndOfDirectory)) end = at;
  }
  if (!end) return Truncated("the zip directory at its end is missing");
  Directory directory{reader.Number(*end + 16, 4), reader.Number(*end + 10, 2)};
  if (directory.offset != 0xffffffff && directory.entries != 0xffff) return directory;
  if (*end < kZip64LocatorBytes ||
      !reader.IsAt(*end - kZip64LocatorBytes, kZip64LocatorBytes, kZip64Locator)) {
    return directory;
  }
  const uint64_t zip64 = reader.Number(*end - kZip64LocatorBytes + 8, 8);
  if (!reader.IsAt(zip64, kZip64EndBytes, kZip64End)) return Truncated("no zip64 directory");
  return Directory{reader.Number(zip64 + 48, 8), reader.Number(zip64 + 32, 8)};
}

// Sizes above 4 GiB stand in the extra field, in this order, only those that did not fit.
Status ReadZip64Sizes(const Reader& reader, uint64_t extra, uint64_t extra_bytes, ZipEntry& entry,
                      uint64_t& offset) {
  constexpr uint64_t kNotHere = 0xffffffff;
  if (entry.uncompressed_bytes != kNotHere && entry.compressed_bytes != kNotHere &&
      offset != kNotHere) {
    return {};
  }
  const uint64_t end = extra + extra_bytes;
  for (uint64_t at = extra; at + 4 <= end;) {
    const uint64_t id = reader.Number(at, 2), size = reader.Number(at + 2, 2);
    uint64_t field = at + 4;
    at = field + size;
    if (at > end) break;
    if (id != 1) continue;
    for (uint64_t* value : {&entry.uncompressed_bytes, &entry.compressed_bytes, &offset}) {
      if (*value != kNotHere) continue;
      if (field + 8 > at) return Truncated("a zip64 field is cut");
      *value = reader.Number(field, 8);
      field += 8;
    }
    return {};
  }
  return Truncated("a zip64 field is missing");
}

bool HasSuffix(const std::vector<ZipEntry>& entries, std::string_view suffix) {
  return std::any_of(entries.begin(), entries.end(),
                     [&](const ZipEntry& entry) { return entry.name.ends_with(suffix); });
}

bool HasCode(const std::vector<ZipEntry>& entries) {
  return std::any_of(entries.begin(), entries.end(), [](const ZipEntry& entry) {
    return entry.name.find("/code/") != std::string::npos && entry.name.ends_with(".py");
  });
}

}  // namespace

Result<std::vector<ZipEntry>> ReadZipDirectory(std::span<const uint8_t> bytes) {
  const Reader reader(bytes);
  if (!reader.IsAt(0, 4, kLocalHeader)) {
    return InvalidArgument("not a TorchScript archive: it does not start as a zip file does");
  }
  HAQ_ASSIGN_OR_RETURN(const Directory directory, FindDirectory(reader));
  if (directory.entries > reader.size() / kDirectoryEntryBytes) {
    return Truncated("more entries than fit");
  }
  std::vector<ZipEntry> entries;
  uint64_t at = directory.offset;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    if (!reader.IsAt(at, kDirectoryEntryBytes, kDirectoryEntry)) {
      return Truncated("the zip directory is cut");
    }
    const uint64_t name_bytes = reader.Number(at + 28, 2), extra_bytes = reader.Number(at + 30, 2),
                   comment_bytes = reader.Number(at + 32, 2);
    const uint64_t variable = at + kDirectoryEntryBytes;
    if (!reader.Has(variable, name_bytes + extra_bytes + comment_bytes)) {
      return Truncated("the zip directory is cut");
    }
    ZipEntry entry{reader.Text(variable, name_bytes), reader.Number(at + 20, 4),
                   reader.Number(at + 24, 4), reader.Number(at + 10, 2) != 0};
    uint64_t offset = reader.Number(at + 42, 4);
    HAQ_RETURN_IF_ERROR(ReadZip64Sizes(reader, variable + name_bytes, extra_bytes, entry, offset));
    if (!reader.IsAt(offset, kLocalHeaderBytes, kLocalHeader) ||
        !reader.Has(offset + kLocalHeaderBytes, entry.compressed_bytes)) {
      return Truncated(fmt::format("entry '{}' lies outside of it", entry.name));
    }
    if (!entry.compressed && entry.compressed_bytes != entry.uncompressed_bytes) {
      return Truncated(fmt::format("entry '{}' has two sizes", entry.name));
    }
    entries.push_back(std::move(entry));
    at = variable + name_bytes + extra_bytes + comment_bytes;
  }
  return entries;
}

Status CheckTorchScriptArchive(std::span<const uint8_t> bytes) {
  if (bytes.empty()) return InvalidArgument("not a TorchScript archive: the file is empty");
  const bool is_pickle = bytes[0] == 0x80;
  Result<std::vector<ZipEntry>> entries = ReadZipDirectory(bytes);
  if (!entries.ok()) {
    if (!is_pickle) return entries.status();
    return InvalidArgument(
        "not a TorchScript archive but a pickle: save the model with torch.jit.save");
  }
  if (!HasSuffix(*entries, "/data.pkl") || !HasSuffix(*entries, "/constants.pkl") ||
      !HasCode(*entries)) {
    return InvalidArgument(
        "not a TorchScript archive: it has no {}; a state_dict or a model saved with torch.save "
        "must be scripted or traced and saved with torch.jit.save",
        HasSuffix(*entries, "/data.pkl") ? "code" : "data.pkl");
  }
  uint64_t inflated = 0;
  for (const ZipEntry& entry : *entries) {
    if (!entry.compressed) continue;
    if (entry.uncompressed_bytes > kMaxInflatedBytes - inflated) {
      return InvalidArgument("the compressed entries of the archive inflate to more than {} bytes",
                             kMaxInflatedBytes);
    }
    inflated += entry.uncompressed_bytes;
  }
  return {};
}

}  // namespace haq::import
