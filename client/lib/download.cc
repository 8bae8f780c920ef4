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

// What is downloaded: an artifact, or else a blob.
struct Client::RemoteFile {
  std::string name;      // for messages
  std::string artifact;  // its resource name, or ""
  std::string sha256;
  int64_t size_bytes = 0;
};

// Appends what one stream brings to `part`. `start(context)` begins the stream.
template <typename Response, typename Start>
Status Client::Append(const RemoteFile& file, int64_t offset, std::ofstream& part,
                      const Start& start, const ProgressCallback& progress) {
  grpc::ClientContext context;
  const auto reader = start(context);
  Response response;
  Status failure;
  while (failure.ok() && reader->Read(&response)) {
    const auto size = static_cast<int64_t>(response.data().size());
    if (response.offset() != offset || offset + size > file.size_bytes) {
      failure = DataLoss("{}: the server sent bytes {} to {} where {} was next of {}", file.name,
                         response.offset(), response.offset() + size, offset, file.size_bytes);
    } else if (!part.write(response.data().data(), size)) {
      failure = ResourceExhausted("cannot write {}: the disk may be full", file.name);
    }
    offset += size;
    if (progress && failure.ok()) progress(offset, file.size_bytes);
  }
  if (!failure.ok()) context.TryCancel();
  const grpc::Status status = reader->Finish();
  part.close();
  if (!failure.ok()) return failure;
  if (!status.ok()) return Describe(options_, status);
  if (offset < file.size_bytes) {
    return Unavailable("server {} ended the download at byte {} of {}", options_.server, offset,
                       file.size_bytes);
  }
  return {};
}

// Appends to `part` what is missing, as far as the connection carries.
Status Client::DownloadOnce(const RemoteFile& file, const std::filesystem::path& part,
                            const ProgressCallback& progress) {
  const int64_t offset = SizeOf(part);
  if (offset >= file.size_bytes && file.size_bytes > 0) return {};
  std::ofstream output(part, std::ios::binary | std::ios::app);
  if (!output) return FailedPrecondition("cannot write {}", part.string());
  if (file.artifact.empty()) {
    v1::ReadBlobRequest request;
    request.set_sha256(file.sha256);
    request.set_offset(offset);
    return Append<v1::ReadBlobResponse>(
        file, offset, output,
        [&](grpc::ClientContext& context) { return stubs_->blobs->ReadBlob(&context, request); },
        progress);
  }
  v1::DownloadArtifactRequest request;
  request.set_name(file.artifact);
  request.set_offset(offset);
  return Append<v1::DownloadArtifactResponse>(
      file, offset, output,
      [&](grpc::ClientContext& context) {
        return stubs_->artifacts->DownloadArtifact(&context, request);
      },
      progress);
}

Status Client::Download(const RemoteFile& file, const std::filesystem::path& path,
                        const ProgressCallback& progress) {
  if (!IsSha256Hex(file.sha256)) return InternalError("{}: the server gave no digest", file.name);
  // The digest in its name ties the partial file to this content.
  std::filesystem::path part = path;
  part += "." + file.sha256.substr(0, 16) + ".part";
  Backoff backoff(options_.reconnect_ms);
  while (true) {
    const int64_t before = SizeOf(part);
    const Status status = DownloadOnce(file, part, progress);
    if (status.ok()) break;
    if (status.code() == StatusCode::kDataLoss) return Discard(part, status);
    if (SizeOf(part) > before) backoff.Reset();
    if (status.code() != StatusCode::kUnavailable || !backoff.Wait()) {
      return SizeOf(part) == 0 ? Discard(part, status) : status;
    }
  }
  {
    HAQ_ASSIGN_OR_RETURN(const MappedFile content, MappedFile::Open(part));
    const std::string sha256 = ToHex(Sha256Of(content.bytes()));
    if (sha256 != file.sha256) {
      return Discard(part, DataLoss("{}: {} bytes arrived with SHA-256 {} instead of {}", file.name,
                                    content.bytes().size(), sha256, file.sha256));
    }
  }
  return MoveDurably(part, path);
}

Result<v1::Artifact> Client::DownloadArtifact(const std::string& name,
                                              const std::filesystem::path& path,
                                              const ProgressCallback& progress) {
  HAQ_ASSIGN_OR_RETURN(v1::Artifact artifact, GetArtifact(name));
  HAQ_RETURN_IF_ERROR(
      Download({artifact.name(), artifact.name(), artifact.sha256(), artifact.size_bytes()}, path,
               progress));
  return artifact;
}

Status Client::DownloadBlob(const std::string& sha256, int64_t size_bytes,
                            const std::filesystem::path& path, const ProgressCallback& progress) {
  return Download({"blob " + sha256.substr(0, 12), "", sha256, size_bytes}, path, progress);
}

}  // namespace haq::client
