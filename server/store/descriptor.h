// An open file of the store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <utility>

#include "core/base/status.h"

namespace haq::server::store {

// The failure that errno tells, with the path: kResourceExhausted for a full disk,
// kFailedPrecondition for missing permissions and wrong kinds of files, kNotFound, kInternal.
Status SystemError(const std::filesystem::path& path, std::string_view action);

// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// `flags` and `mode` as for open(2); O_CLOEXEC is added.
Result<Descriptor> OpenFile(const std::filesystem::path& path, int flags, int mode = 0644);
Result<int64_t> FileSize(const Descriptor& file, const std::filesystem::path& path);
Status WriteAt(const Descriptor& file, const std::filesystem::path& path, int64_t offset,
               std::span<const uint8_t> bytes);
// Fills `bytes` from `offset` on; the number of bytes that the file had.
Result<size_t> ReadAt(const Descriptor& file, const std::filesystem::path& path, int64_t offset,
                      std::span<uint8_t> bytes);
Status SyncFile(const Descriptor& file, const std::filesystem::path& path);

}  // namespace haq::server::store
