// A blob to be sent, open, so that deleting it does not disturb.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/base/status.h"
#include "server/store/blob_store.h"
#include "server/store/descriptor.h"

namespace haq::server::api {

// kInvalidArgument (sha256) for what is no digest.
Status CheckBlobName(const std::string& sha256);

class OpenBlob {
 public:
  // To be read from `offset` on. kNotFound when there is none, kInvalidArgument (offset) for an
  // offset outside of it.
  static Result<OpenBlob> Open(const store::BlobStore& blobs, const std::string& sha256,
                               int64_t offset);

  int64_t offset() const { return offset_; }  // of the byte that is read next
  // The next part; empty at the end. kDataLoss when the file became shorter.
  Result<std::string> Read();

 private:
  std::filesystem::path path_;  // for messages
  store::Descriptor file_;
  int64_t size_bytes_ = 0, offset_ = 0;
};

}  // namespace haq::server::api
