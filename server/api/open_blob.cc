#include "server/api/open_blob.h"

#include <algorithm>

#include "core/base/sha256.h"

namespace haq::server::api {
namespace {

constexpr int64_t kPartBytes = 256 << 10;

}  // namespace

Status CheckBlobName(const std::string& sha256) {
  if (IsSha256Hex(sha256)) return {};
  return InvalidField("sha256", "must be 64 lower-case hexadecimal digits");
}

Result<OpenBlob> OpenBlob::Open(const store::BlobStore& blobs, const std::string& sha256,
                                int64_t offset) {
  HAQ_RETURN_IF_ERROR(CheckBlobName(sha256));
  OpenBlob blob;
  blob.path_ = blobs.PathOf(sha256);
  HAQ_ASSIGN_OR_RETURN(blob.file_, blobs.Open(sha256));
  HAQ_ASSIGN_OR_RETURN(blob.size_bytes_, store::FileSize(blob.file_, blob.path_));
  if (offset < 0 || offset > blob.size_bytes_) {
    return InvalidField("offset", "must be 0 to {}, found {}", blob.size_bytes_, offset);
  }
  blob.offset_ = offset;
  return blob;
}

Result<std::string> OpenBlob::Read() {
  std::string part(std::min(size_bytes_ - offset_, kPartBytes), '\0');
  if (part.empty()) return part;
  HAQ_ASSIGN_OR_RETURN(
      const size_t got,
      store::ReadAt(file_, path_, offset_, {reinterpret_cast<uint8_t*>(part.data()), part.size()}));
  if (got != part.size()) return DataLoss("the blob's file is shorter than it was");
  offset_ += static_cast<int64_t>(got);
  return part;
}

}  // namespace haq::server::api
