#include "server/store/blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "core/base/file.h"
#include "core/base/sha256.h"

namespace haq::server::store {

std::filesystem::path BlobStore::PathOf(const std::string& sha256) const {
  return folder_ / sha256.substr(0, 2) / sha256;
}

std::optional<int64_t> BlobStore::Find(const std::string& sha256) const {
  struct stat info {};
  if (!IsSha256Hex(sha256) || ::stat(PathOf(sha256).c_str(), &info) != 0) return std::nullopt;
  return int64_t{info.st_size};
}

Result<Descriptor> BlobStore::Open(const std::string& sha256) const {
  if (!Find(sha256)) return NotFound("there is no blob {}", sha256);
  return OpenFile(PathOf(sha256), O_RDONLY);
}

Status BlobStore::Adopt(const std::filesystem::path& file, const std::string& sha256) {
  const std::filesystem::path path = PathOf(sha256);
  const std::filesystem::path parent = path.parent_path();
  if (::mkdir(parent.c_str(), 0755) == 0) {
    HAQ_RETURN_IF_ERROR(SyncFolder(folder_));
  } else if (errno != EEXIST) {
    return SystemError(parent, "create");
  }
  {
    HAQ_ASSIGN_OR_RETURN(const Descriptor content, OpenFile(file, O_RDONLY));
    // The upload may have begun long ago; as a blob it is new.
    ::futimens(content.get(), nullptr);
    HAQ_RETURN_IF_ERROR(SyncFile(content, file));
  }
  if (::rename(file.c_str(), path.c_str()) != 0) return SystemError(path, "rename into place");
  return SyncFolder(parent);
}

Status BlobStore::Remove(const std::string& sha256) {
  const std::filesystem::path path = PathOf(sha256);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return SystemError(path, "remove");
  return {};
}

std::optional<int64_t> BlobStore::Touch(const std::string& sha256) {
  const std::lock_guard lock(mutex_);
  const auto size = Find(sha256);
  if (size) ::utimensat(AT_FDCWD, PathOf(sha256).c_str(), nullptr, 0);
  return size;
}

Result<int64_t> BlobStore::RemoveIfOlderThan(const std::string& sha256, int64_t time_us) {
  const std::lock_guard lock(mutex_);
  struct stat info {};
  if (::stat(PathOf(sha256).c_str(), &info) != 0) return int64_t{0};
  if (int64_t{info.st_mtime} * 1'000'000 >= time_us) return int64_t{0};
  HAQ_RETURN_IF_ERROR(Remove(sha256));
  return int64_t{info.st_size};
}

std::vector<std::string> BlobStore::ListOlderThan(int64_t time_us) const {
  std::vector<std::string> blobs;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator it(folder_, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    struct stat info {};
    if (!IsSha256Hex(name) || ::stat(it->path().c_str(), &info) != 0) continue;
    if (int64_t{info.st_mtime} * 1'000'000 < time_us) blobs.push_back(name);
  }
  return blobs;
}

}  // namespace haq::server::store
