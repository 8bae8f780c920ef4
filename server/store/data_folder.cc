#include "server/store/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <vector>

#include "core/base/file.h"

namespace haq::server::store {
namespace {

Status NotWritable(const std::filesystem::path& root, const std::string& reason) {
  return FailedPrecondition("data folder {} is not writable: {}", root.string(), reason);
}

Status MakeFolder(const std::filesystem::path& root, const std::filesystem::path& folder,
                  mode_t mode) {
  std::error_code error;
  std::filesystem::create_directories(folder.parent_path(), error);
  if (error) return NotWritable(root, error.message());
  if (::mkdir(folder.c_str(), mode) == 0 || errno == EEXIST) {
    if (std::filesystem::is_directory(folder, error)) return {};
    return NotWritable(root, folder.string() + " is not a folder");
  }
  return NotWritable(root, std::strerror(errno));
}

Status TakeLock(const Descriptor& lock, const std::filesystem::path& root) {
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    std::string holder(32, '\0');
    const ssize_t got = ::pread(lock.get(), holder.data(), holder.size(), 0);
    holder.resize(got > 0 ? got : 0);
    return FailedPrecondition("data folder {} is in use by another server{}", root.string(),
                              holder.empty() ? "" : fmt::format(" (process {})", holder));
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(lock.get(), 0) != 0 ||
      ::pwrite(lock.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return NotWritable(root, std::strerror(errno));
  }
  return {};
}

}  // namespace

Result<DataFolder> DataFolder::Open(const std::filesystem::path& root) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(root, error).lexically_normal();
  if (root.empty() || error) return InvalidArgument("the data folder has no name");
  const bool trailing = absolute.filename().empty() && absolute.has_parent_path();
  const std::filesystem::path folder = trailing ? absolute.parent_path() : absolute;
  HAQ_RETURN_IF_ERROR(MakeFolder(folder, folder, 0755));
  const std::filesystem::path lock_path = folder / "lock";
  Descriptor lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!lock.valid()) return NotWritable(folder, std::strerror(errno));
  HAQ_RETURN_IF_ERROR(TakeLock(lock, folder));
  DataFolder data(folder, std::move(lock));
  for (const auto& part : {data.blobs(), data.uploads(), data.checkpoints()}) {
    HAQ_RETURN_IF_ERROR(MakeFolder(folder, part, 0755));
  }
  // The socket's folder is the first guard of the worker protocol, the socket's own mode the
  // second.
  HAQ_RETURN_IF_ERROR(MakeFolder(folder, data.worker_socket().parent_path(), 0700));
  HAQ_RETURN_IF_ERROR(SyncFolder(folder));
  return data;
}

Status DataFolder::RemoveWorkerFolders() const {
  std::error_code error;
  std::vector<std::filesystem::path> left;
  for (std::filesystem::directory_iterator it(worker_folders(), error), end; !error && it != end;
       it.increment(error)) {
    if (it->is_directory(error)) left.push_back(it->path());
  }
  for (const std::filesystem::path& folder : left) {
    if (!error) std::filesystem::remove_all(folder, error);
    if (error) return InternalError("cannot remove {}: {}", folder.string(), error.message());
  }
  return {};
}

}  // namespace haq::server::store
