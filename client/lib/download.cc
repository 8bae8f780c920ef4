#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "client/lib/stubs.h"
#include "core/base/file.h"
#include "core/base/sha256.h"

namespace haq::client {
namespace {

int64_t SizeOf(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(size);
}

Status Discard(const std::filesystem::path& part, Status status) {
  std::error_code ignored;
  std::filesystem::remove(part, ignored);
  return status;
}

// After OK the file survives a power cut under its new name.
Status MoveDurably(const std::filesystem::path& from, const std::filesystem::path& to) {
  const int fd = ::open(from.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = fd >= 0 && ::fsync(fd) == 0;
  const int sync_error = errno;
  if (fd >= 0) ::close(fd);
  if (!synced) {
    return InternalError("cannot sync {}: {}", from.string(), std::strerror(sync_error));
  }
  if (::rename(from.c_str(), to.c_str()) != 0) {
    return FailedPrecondition("cannot write {}: {}", to.string(), std::strerror(errno));
  }
  const std::filesystem::path folder = to.parent_path();
  return SyncFolder(folder.empty() ? "." : folder);
}

}  // namespace

// Appends to `part` what is missing, as far as the connection carries.
Status Client::DownloadOnce(const v1::Artifact& artifact, const std::filesystem::path& part,
                            const ProgressCallback& progress) {
  int64_t offset = SizeOf(part);
  if (offset >= artifact.size_bytes() && artifact.size_bytes() > 0) return {};
  std::ofstream file(part, std::ios::binary | std::ios::app);
  if (!file) return FailedPrecondition("cannot write {}", part.string());
  grpc::ClientContext context;
  v1::DownloadArtifactRequest request;
  request.set_name(artifact.name());
  request.set_offset(offset);
  const auto reader = stubs_->artifacts->DownloadArtifact(&context, request);
  v1::DownloadArtifactResponse response;
  Status failure;
  while (failure.ok() && reader->Read(&response)) {
    const auto size = static_cast<int64_t>(response.data().size());
    if (response.offset() != offset || offset + size > artifact.size_bytes()) {
      failure =
          DataLoss("{}: the server sent bytes {} to {} where {} was next of {}", artifact.name(),
                   response.offset(), response.offset() + size, offset, artifact.size_bytes());
    } else if (!file.write(response.data().data(), size)) {
      failure = ResourceExhausted("cannot write {}: the disk may be full", part.string());
    }
    offset += size;
    if (progress && failure.ok()) progress(offset, artifact.size_bytes());
  }
  if (!failure.ok()) context.TryCancel();
  const grpc::Status status = reader->Finish();
  file.close();
  if (!failure.ok()) return failure;
  if (!status.ok()) return Describe(options_, status);
  if (offset < artifact.size_bytes()) {
    return Unavailable("server {} ended the download at byte {} of {}", options_.server, offset,
                       artifact.size_bytes());
  }
  return {};
}

Result<v1::Artifact> Client::DownloadArtifact(const std::string& name,
                                              const std::filesystem::path& path,
                                              const ProgressCallback& progress) {
  HAQ_ASSIGN_OR_RETURN(v1::Artifact artifact, GetArtifact(name));
  if (!IsSha256Hex(artifact.sha256())) {
    return InternalError("{}: the server gave no digest", artifact.name());
  }
  // The digest in its name ties the partial file to this content.
  std::filesystem::path part = path;
  part += "." + artifact.sha256().substr(0, 16) + ".part";
  Backoff backoff(options_.reconnect_ms);
  while (true) {
    const int64_t before = SizeOf(part);
    const Status status = DownloadOnce(artifact, part, progress);
    if (status.ok()) break;
    if (status.code() == StatusCode::kDataLoss) return Discard(part, status);
    if (SizeOf(part) > before) backoff.Reset();
    if (status.code() != StatusCode::kUnavailable || !backoff.Wait()) return status;
  }
  {
    HAQ_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(part));
    const std::string sha256 = ToHex(Sha256Of(file.bytes()));
    if (sha256 != artifact.sha256()) {
      return Discard(part,
                     DataLoss("{}: {} bytes arrived with SHA-256 {} instead of {}", artifact.name(),
                              file.bytes().size(), sha256, artifact.sha256()));
    }
  }
  HAQ_RETURN_IF_ERROR(MoveDurably(part, path));
  return artifact;
}

}  // namespace haq::client
