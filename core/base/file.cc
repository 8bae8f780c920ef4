#include "core/base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

namespace haq {
namespace {

Status SystemError(const std::filesystem::path& path, std::string_view action) {
  const int error = errno;
  const StatusCode code =
      error == ENOENT                      ? StatusCode::kNotFound
      : error == EEXIST                    ? StatusCode::kAlreadyExists
      : error == ENOSPC || error == EDQUOT ? StatusCode::kResourceExhausted
      : error == EACCES || error == EROFS || error == EPERM || error == ENOTDIR || error == EISDIR
          ? StatusCode::kFailedPrecondition
          : StatusCode::kInternal;
  return {code, fmt::format("cannot {} {}: {}", action, path.string(), std::strerror(error))};
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() { Close(); }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Close() { return fd_ >= 0 ? ::close(std::exchange(fd_, -1)) : 0; }

 private:
  int fd_;
};

template <typename Container>
Result<Container> ReadAll(const std::filesystem::path& path, uint64_t limit_bytes) {
  FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return SystemError(path, "open");
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return SystemError(path, "examine");
  if (S_ISDIR(info.st_mode)) {
    return FailedPrecondition("cannot read {}: it is a folder", path.string());
  }
  Container content;
  // The size is a hint only: special files report 0, and a file may grow while it is read.
  if (static_cast<uint64_t>(info.st_size) <= limit_bytes) content.reserve(info.st_size);
  constexpr size_t kChunkBytes = 1 << 20;
  while (true) {
    const size_t used = content.size();
    if (used > limit_bytes) {
      return ResourceExhausted("{} is larger than {} bytes, the most that is read here",
                               path.string(), limit_bytes);
    }
    content.resize(used + kChunkBytes);
    const ssize_t got = ::read(fd.get(), content.data() + used, kChunkBytes);
    if (got < 0 && errno == EINTR) {
      content.resize(used);
      continue;
    }
    if (got < 0) return SystemError(path, "read");
    content.resize(used + got);
    if (got == 0) return content;
  }
}

}  // namespace

Result<std::vector<uint8_t>> ReadFile(const std::filesystem::path& path, uint64_t limit_bytes) {
  return ReadAll<std::vector<uint8_t>>(path, limit_bytes);
}

Result<std::string> ReadTextFile(const std::filesystem::path& path, uint64_t limit_bytes) {
  return ReadAll<std::string>(path, limit_bytes);
}

Status SyncFolder(const std::filesystem::path& folder) {
  FileDescriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return SystemError(folder, "open");
  if (::fsync(fd.get()) != 0) return SystemError(folder, "sync");
  return {};
}

Status WriteFileDurably(const std::filesystem::path& path, std::span<const uint8_t> bytes) {
  static std::atomic<uint64_t> counter{0};
  std::filesystem::path temporary = path;
  temporary += fmt::format(".tmp.{}.{}", ::getpid(), counter.fetch_add(1));
  const auto write = [&]() -> Status {
    FileDescriptor fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!fd.valid()) return SystemError(temporary, "create");
    while (!bytes.empty()) {
      const ssize_t put = ::write(fd.get(), bytes.data(), bytes.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return SystemError(temporary, "write");
      bytes = bytes.subspan(put);
    }
    if (::fsync(fd.get()) != 0) return SystemError(temporary, "sync");
    if (fd.Close() != 0) return SystemError(temporary, "close");
    if (::rename(temporary.c_str(), path.c_str()) != 0)
      return SystemError(path, "rename into place");
    return {};
  };
  if (Status status = write(); !status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  const std::filesystem::path folder = path.parent_path();
  return SyncFolder(folder.empty() ? "." : folder);
}

Status WriteFileDurably(const std::filesystem::path& path, std::string_view text) {
  return WriteFileDurably(path,
                          std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}

Result<MappedFile> MappedFile::Open(const std::filesystem::path& path) {
  // Without waiting for the writer of a named pipe, which is refused below.
  FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return SystemError(path, "open");
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return SystemError(path, "examine");
  if (!S_ISREG(info.st_mode)) {
    return FailedPrecondition("cannot map {}: it is not a regular file", path.string());
  }
  if (info.st_size == 0) return MappedFile(std::span<const uint8_t>());
  void* address = ::mmap(nullptr, info.st_size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (address == MAP_FAILED) return SystemError(path, "map");
  return MappedFile(std::span(static_cast<const uint8_t*>(address), info.st_size));
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

void MappedFile::ReleasePages() const {
  // Of a private mapping that nobody writes to, so that nothing is lost. Best effort.
  if (!bytes_.empty()) {
    ::madvise(const_cast<uint8_t*>(bytes_.data()), bytes_.size(), MADV_DONTNEED);
  }
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<uint8_t*>(bytes_.data()), bytes_.size());
}

}  // namespace haq
