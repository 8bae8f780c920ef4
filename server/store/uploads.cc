#include "server/store/uploads.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <system_error>
#include <vector>

#include "core/base/sha256.h"

namespace haq::server::store {
namespace {

struct FileName {
  std::string sha256;
  int64_t size_bytes = 0;
};

std::optional<FileName> ParseFileName(const std::string& name) {
  const size_t dash = name.find('-');
  if (dash == std::string::npos || !IsSha256Hex(name.substr(0, dash))) return std::nullopt;
  FileName result{name.substr(0, dash), 0};
  const char* end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data() + dash + 1, end, result.size_bytes);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return result;
}

// Files of unfinished uploads.
std::vector<std::filesystem::path> ListFiles(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    files.push_back(it->path());
  }
  return files;
}

}  // namespace

struct Uploads::Upload {
  std::string sha256;
  int64_t size_bytes = 0;
  std::filesystem::path path;

  std::mutex mutex;
  Descriptor file;              // all of these guarded by mutex
  int64_t committed_bytes = 0;  // the file's length
  Sha256 hash;
  int64_t hashed_bytes = 0;  // behind committed_bytes after a restart, until the first write
  bool dropped = false;

  // The digest is kept up with the file, so that the last write does not read it all again.
  Status CatchUp() {
    std::vector<uint8_t> buffer(1 << 20);
    while (hashed_bytes < committed_bytes) {
      HAQ_ASSIGN_OR_RETURN(const size_t got, ReadAt(file, path, hashed_bytes, buffer));
      if (got == 0) return DataLoss("{} became shorter while it was read", path.string());
      hash.Update(std::span(buffer).first(got));
      hashed_bytes += static_cast<int64_t>(got);
    }
    return {};
  }
};

Uploads::Uploads(std::filesystem::path folder, BlobStore& blobs, const UploadLimits& limits)
    : folder_(std::move(folder)), blobs_(blobs), limits_(limits) {}

std::filesystem::path Uploads::PathOf(const std::string& sha256, int64_t size_bytes) const {
  return folder_ / fmt::format("{}-{}", sha256, size_bytes);
}

Result<UploadState> Uploads::Start(const std::string& sha256, int64_t size_bytes) {
  if (!IsSha256Hex(sha256)) {
    return InvalidField("sha256", "must be 64 lower-case hexadecimal digits, found '{}'",
                        sha256.substr(0, 80));
  }
  if (size_bytes < 1) return InvalidField("size_bytes", "must be at least 1, found {}", size_bytes);
  if (size_bytes > limits_.max_blob_bytes) {
    Status status = ResourceExhausted("size_bytes: {} is over the limit of {} bytes", size_bytes,
                                      limits_.max_blob_bytes);
    status.AddField("size_bytes", fmt::format("at most {}", limits_.max_blob_bytes));
    return status;
  }
  if (const auto size = blobs_.Touch(sha256)) {
    if (*size != size_bytes) {
      return InvalidField("size_bytes", "the blob {} has {} bytes, not {}", sha256, *size,
                          size_bytes);
    }
    return UploadState{size_bytes, size_bytes, true};
  }
  HAQ_ASSIGN_OR_RETURN(const std::shared_ptr<Upload> upload, OpenUpload(sha256, size_bytes));
  {
    const std::lock_guard lock(upload->mutex);
    const bool whole = upload->committed_bytes == upload->size_bytes;
    if (!upload->dropped && !whole) return UploadState{size_bytes, upload->committed_bytes, false};
    if (!upload->dropped) {
      // The last run ended between the last byte and the check of the digest.
      HAQ_RETURN_IF_ERROR(upload->CatchUp());
      HAQ_RETURN_IF_ERROR(Finish(*upload));
    }
  }
  return Start(sha256, size_bytes);
}

Result<std::shared_ptr<Uploads::Upload>> Uploads::OpenUpload(const std::string& sha256,
                                                             int64_t size_bytes) {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(sha256);
  if (found != open_.end() && found->second->size_bytes == size_bytes) return found->second;
  if (found != open_.end()) open_.erase(found);

  int64_t unfinished = 0;
  for (const std::filesystem::path& file : ListFiles(folder_)) {
    const auto name = ParseFileName(file.filename().string());
    if (!name) continue;
    if (name->sha256 != sha256) {
      ++unfinished;
    } else if (name->size_bytes != size_bytes) {
      // Somebody declared another size for this digest; at most one of them is true.
      ::unlink(file.c_str());
    }
  }
  if (unfinished >= limits_.max_unfinished) {
    return ResourceExhausted("{} uploads are unfinished, which is the limit; finish some first",
                             unfinished);
  }
  auto upload = std::make_shared<Upload>();
  upload->sha256 = sha256;
  upload->size_bytes = size_bytes;
  upload->path = PathOf(sha256, size_bytes);
  HAQ_ASSIGN_OR_RETURN(upload->file, OpenFile(upload->path, O_RDWR | O_CREAT));
  HAQ_ASSIGN_OR_RETURN(upload->committed_bytes, FileSize(upload->file, upload->path));
  open_[sha256] = upload;
  return upload;
}

Result<std::shared_ptr<Uploads::Upload>> Uploads::Find(const std::string& sha256) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = open_.find(sha256);
    if (found != open_.end()) return found->second;
  }
  for (const std::filesystem::path& file : ListFiles(folder_)) {
    const auto name = ParseFileName(file.filename().string());
    if (name && name->sha256 == sha256) return OpenUpload(sha256, name->size_bytes);
  }
  return NotFound("sha256: there is no upload of {}; StartUpload opens one", sha256.substr(0, 80));
}

void Uploads::Forget(const std::string& sha256) {
  const std::lock_guard lock(mutex_);
  open_.erase(sha256);
}

Result<UploadState> Uploads::Write(const std::string& sha256, int64_t offset,
                                   std::span<const uint8_t> bytes) {
  if (const auto size = blobs_.Find(sha256)) return UploadState{*size, *size, true};
  HAQ_ASSIGN_OR_RETURN(const std::shared_ptr<Upload> upload, Find(sha256));
  const std::lock_guard lock(upload->mutex);
  if (upload->dropped) return NotFound("sha256: the upload of {} was dropped", sha256);
  if (offset != upload->committed_bytes) {
    return FailedPrecondition("offset: {} is not the next one, which is {}", offset,
                              upload->committed_bytes);
  }
  if (static_cast<int64_t>(bytes.size()) > upload->size_bytes - offset) {
    return InvalidField("data", "{} bytes at offset {} go beyond the size of {}", bytes.size(),
                        offset, upload->size_bytes);
  }
  HAQ_RETURN_IF_ERROR(upload->CatchUp());
  HAQ_RETURN_IF_ERROR(WriteAt(upload->file, upload->path, offset, bytes));
  upload->hash.Update(bytes);
  upload->committed_bytes += static_cast<int64_t>(bytes.size());
  upload->hashed_bytes = upload->committed_bytes;
  const bool complete = upload->committed_bytes == upload->size_bytes;
  if (complete) HAQ_RETURN_IF_ERROR(Finish(*upload));
  return UploadState{upload->size_bytes, upload->committed_bytes, complete};
}

Status Uploads::Finish(Upload& upload) {
  upload.dropped = true;
  const std::string digest = ToHex(upload.hash.Finish());
  Status status;
  if (digest == upload.sha256) {
    status = blobs_.Adopt(upload.path, upload.sha256);
  } else {
    ::unlink(upload.path.c_str());
    status =
        DataLoss("sha256: the uploaded bytes have the digest {}, not {}; the upload was dropped",
                 digest, upload.sha256);
  }
  // Last, so that nobody opens the file anew while it is moved.
  Forget(upload.sha256);
  return status;
}

Result<UploadState> Uploads::Sync(const std::string& sha256) {
  if (const auto size = blobs_.Find(sha256)) return UploadState{*size, *size, true};
  HAQ_ASSIGN_OR_RETURN(const std::shared_ptr<Upload> upload, Find(sha256));
  const std::lock_guard lock(upload->mutex);
  HAQ_RETURN_IF_ERROR(SyncFile(upload->file, upload->path));
  return UploadState{upload->size_bytes, upload->committed_bytes, false};
}

void Uploads::RemoveOlderThan(int64_t time_us) {
  const std::lock_guard lock(mutex_);
  for (const std::filesystem::path& file : ListFiles(folder_)) {
    const auto name = ParseFileName(file.filename().string());
    struct stat info {};
    if (name && open_.count(name->sha256) != 0) continue;
    if (::stat(file.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    if (int64_t{info.st_mtime} * 1'000'000 < time_us) ::unlink(file.c_str());
  }
}

}  // namespace haq::server::store
