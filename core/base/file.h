// Files: whole reads, durable writes, read-only mappings. Errors name the path and the system's
// reason.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace haq {

// The whole file. kNotFound when it does not exist, kResourceExhausted when it is larger than
// `limit_bytes`.
Result<std::vector<uint8_t>> ReadFile(const std::filesystem::path& path,
                                      uint64_t limit_bytes = uint64_t{4} << 30);
Result<std::string> ReadTextFile(const std::filesystem::path& path,
                                 uint64_t limit_bytes = 64 << 20);

// Writes a temporary file beside `path`, fsyncs it, renames it over `path` and fsyncs the folder:
// after OK the new content survives a power cut, after a failure `path` is untouched and nothing is
// left behind.
Status WriteFileDurably(const std::filesystem::path& path, std::span<const uint8_t> bytes);
Status WriteFileDurably(const std::filesystem::path& path, std::string_view text);

// fsync of a folder, so that a rename in it is durable.
Status SyncFolder(const std::filesystem::path& folder);

// A file mapped read-only. The bytes stay valid for the life of the object, also when the file is
// unlinked; a file that is truncated by somebody else while mapped is outside the contract.
class MappedFile {
 public:
  // kFailedPrecondition for what is no regular file; never waits.
  static Result<MappedFile> Open(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const uint8_t> bytes() const { return bytes_; }

  // Lets the bytes leave memory; those that are read again come back from the file.
  void ReleasePages() const;

 private:
  explicit MappedFile(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  std::span<const uint8_t> bytes_;
};

}  // namespace haq
