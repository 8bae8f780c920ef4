#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "client/lib/stubs.h"
#include "core/base/sha256.h"

namespace haq::client {
namespace {

constexpr size_t kChunkBytes = 1 << 20;  // the most that WriteUploadRequest.data may hold

struct FileIdentity {
  std::string sha256;
  int64_t size_bytes = 0;
};

Status ReadError(const std::filesystem::path& path) {
  return InternalError("cannot read {}: {}", path.string(), std::strerror(errno));
}

// Reads the file once; memory does not depend on its size.
Result<FileIdentity> Identify(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return NotFound("cannot open {}: no such file", path.string());
  }
  if (std::filesystem::is_directory(path, error)) {
    return InvalidArgument("{} is a folder where a file is needed", path.string());
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return FailedPrecondition("cannot open {}: {}", path.string(), std::strerror(errno));
  Sha256 sha;
  FileIdentity identity;
  std::string buffer(kChunkBytes, '\0');
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) ||
         file.gcount() > 0) {
    sha.Update(std::string_view(buffer.data(), file.gcount()));
    identity.size_bytes += file.gcount();
  }
  if (file.bad()) return ReadError(path);
  identity.sha256 = ToHex(sha.Finish());
  return identity;
}

}  // namespace

// Sends the bytes from `upload.committed_bytes()` on. OK: the server has all and checked the
// digest.
Status Client::WriteUpload(const std::filesystem::path& path, const v1::Upload& upload,
                           const ProgressCallback& progress) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(upload.committed_bytes());
  if (!file) return ReadError(path);
  grpc::ClientContext context;
  v1::Upload answer;
  const auto writer = stubs_->blobs->WriteUpload(&context, &answer);
  v1::WriteUploadRequest request;
  request.set_sha256(upload.sha256());
  int64_t offset = upload.committed_bytes();
  bool first = true;  // an empty file, too, needs one message to say which upload it is
  while (first || offset < upload.size_bytes()) {
    std::string& data = *request.mutable_data();
    data.resize(std::min<int64_t>(kChunkBytes, upload.size_bytes() - offset));
    file.read(data.data(), static_cast<std::streamsize>(data.size()));
    if (file.gcount() != static_cast<std::streamsize>(data.size())) {
      context.TryCancel();
      (void)writer->Finish();
      return FailedPrecondition("{} became shorter while it was uploaded", path.string());
    }
    request.set_offset(offset);
    if (!writer->Write(request)) break;  // Finish says why
    offset += static_cast<int64_t>(data.size());
    if (progress) progress(offset, upload.size_bytes());
    request.clear_sha256();
    first = false;
  }
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (!status.ok()) return Describe(options_, status);
  if (!answer.complete()) {
    return Unavailable("the server kept {} of {} bytes of {}", answer.committed_bytes(),
                       answer.size_bytes(), path.string());
  }
  return {};
}

Result<std::string> Client::UploadFile(const std::filesystem::path& path,
                                       const ProgressCallback& progress) {
  HAQ_ASSIGN_OR_RETURN(const FileIdentity identity, Identify(path));
  v1::StartUploadRequest start;
  start.set_sha256(identity.sha256);
  start.set_size_bytes(identity.size_bytes);
  // StartUpload has its own, shorter patience while nothing has been sent yet.
  ClientOptions patient = options_;
  Backoff backoff(options_.reconnect_ms);
  int64_t committed_before = -1;
  while (true) {
    HAQ_ASSIGN_OR_RETURN(const v1::Upload upload,
                         Call(patient, *stubs_->blobs, &v1::BlobService::Stub::StartUpload, start,
                              options_.timeout_ms));
    if (upload.complete()) {
      if (progress) progress(identity.size_bytes, identity.size_bytes);
      return identity.sha256;
    }
    if (upload.committed_bytes() < 0 || upload.committed_bytes() > identity.size_bytes) {
      return InternalError("the server claims {} of the {} bytes of {}", upload.committed_bytes(),
                           identity.size_bytes, path.string());
    }
    patient.retry_ms = options_.reconnect_ms;
    if (upload.committed_bytes() > committed_before) backoff.Reset();
    committed_before = upload.committed_bytes();
    if (progress) progress(upload.committed_bytes(), identity.size_bytes);
    const Status status = WriteUpload(path, upload, progress);
    if (status.ok()) return identity.sha256;
    if (status.code() != StatusCode::kUnavailable || !backoff.Wait()) {
      return status.WithContext("upload of " + path.string());
    }
  }
}

}  // namespace haq::client
