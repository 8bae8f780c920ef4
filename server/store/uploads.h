// Blobs on their way in: `uploads/<sha256>-<size>` holds the bytes that came so far, also over a
// restart. The last byte makes it a blob, if the digest is right.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "core/base/status.h"
#include "server/store/blob_store.h"

namespace haq::server::store {

struct UploadState {
  int64_t size_bytes = 0;
  int64_t committed_bytes = 0;
  bool complete = false;
};

struct UploadLimits {
  int64_t max_blob_bytes = int64_t{2} << 30;
  int64_t max_unfinished = 64;  // uploads that broke off or are under way
};

// Thread-safe; writes to different uploads run in parallel. Two writers of one upload do no harm:
// the offsets of one of them stop fitting.
class Uploads {
 public:
  Uploads(std::filesystem::path folder, BlobStore& blobs, const UploadLimits& limits);

  // Opens the upload, finds the one that broke off, or says that the blob is there.
  // kInvalidArgument for the field sha256 or size_bytes, also when the blob that is there has
  // another size; kResourceExhausted for a size over the limit and for too many unfinished uploads.
  Result<UploadState> Start(const std::string& sha256, int64_t size_bytes);

  // Appends. kNotFound without Start; kFailedPrecondition for an offset that is not the next one;
  // kInvalidArgument for bytes beyond the size; kDataLoss when the digest of the whole is wrong:
  // the upload is dropped. Bytes of a blob that is complete already are checked for nothing and
  // dropped.
  Result<UploadState> Write(const std::string& sha256, int64_t offset,
                            std::span<const uint8_t> bytes);

  // What the upload has, after it was synced.
  Result<UploadState> Sync(const std::string& sha256);

  // Removes unfinished uploads that nobody wrote to since that time.
  void RemoveOlderThan(int64_t time_us);

 private:
  struct Upload;

  Result<std::shared_ptr<Upload>> Find(const std::string& sha256);
  Result<std::shared_ptr<Upload>> OpenUpload(const std::string& sha256, int64_t size_bytes);
  Status Finish(Upload& upload);
  void Forget(const std::string& sha256);
  std::filesystem::path PathOf(const std::string& sha256, int64_t size_bytes) const;

  const std::filesystem::path folder_;
  BlobStore& blobs_;
  const UploadLimits limits_;

  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Upload>> open_;  // guarded by mutex_
};

}  // namespace haq::server::store
