#include "server/store/descriptor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace haq::server::store {
namespace {

StatusCode CodeOf(int error) {
  switch (error) {
    case ENOENT:
      return StatusCode::kNotFound;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
      return StatusCode::kResourceExhausted;
    case EACCES:
    case EROFS:
    case EPERM:
    case ENOTDIR:
    case EISDIR:
    case EEXIST:
      return StatusCode::kFailedPrecondition;
    default:
      return StatusCode::kInternal;
  }
}

}  // namespace

Status SystemError(const std::filesystem::path& path, std::string_view action) {
  const int error = errno;
  return {CodeOf(error),
          fmt::format("cannot {} {}: {}", action, path.string(), std::strerror(error))};
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Result<Descriptor> OpenFile(const std::filesystem::path& path, int flags, int mode) {
  Descriptor file(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!file.valid()) return SystemError(path, "open");
  return file;
}

Result<int64_t> FileSize(const Descriptor& file, const std::filesystem::path& path) {
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return SystemError(path, "examine");
  return int64_t{info.st_size};
}

Status WriteAt(const Descriptor& file, const std::filesystem::path& path, int64_t offset,
               std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(file.get(), bytes.data(), bytes.size(), offset);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return SystemError(path, "write");
    bytes = bytes.subspan(put);
    offset += put;
  }
  return {};
}

Result<size_t> ReadAt(const Descriptor& file, const std::filesystem::path& path, int64_t offset,
                      std::span<uint8_t> bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got =
        ::pread(file.get(), bytes.data() + done, bytes.size() - done, offset + int64_t(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError(path, "read");
    if (got == 0) break;
    done += got;
  }
  return done;
}

Status SyncFile(const Descriptor& file, const std::filesystem::path& path) {
  if (::fsync(file.get()) != 0) return SystemError(path, "sync");
  return {};
}

}  // namespace haq::server::store
