// Uploads and downloads.
#include <algorithm>
#include <memory>

#include "server/rpc/services.h"
#include "server/rpc/streams.h"
#include "server/rpc/unary.h"

namespace haq::server::rpc {
namespace {

constexpr int64_t kChunkBytes = 256 << 10;

std::span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

haq::v1::Upload ToProto(const std::string& sha256, const store::UploadState& state) {
  haq::v1::Upload upload;
  upload.set_sha256(sha256);
  upload.set_size_bytes(state.size_bytes);
  upload.set_committed_bytes(state.committed_bytes);
  upload.set_complete(state.complete);
  return upload;
}

Status TakePart(store::Uploads& uploads, const haq::v1::WriteUploadRequest& request,
                int64_t max_message_bytes, std::string& sha256) {
  if (sha256.empty()) sha256 = request.sha256();
  if (!request.sha256().empty() && request.sha256() != sha256) {
    return InvalidField("sha256", "must not change within a call");
  }
  if (sha256.empty()) return InvalidField("sha256", "must be in the first message");
  if (static_cast<int64_t>(request.data().size()) > max_message_bytes) {
    return InvalidField("data", "must have at most {} bytes, found {}", max_message_bytes,
                        request.data().size());
  }
  return uploads.Write(sha256, request.offset(), Bytes(request.data())).status();
}

}  // namespace

grpc::ServerUnaryReactor* BlobService::StartUpload(grpc::CallbackServerContext* context,
                                                   const haq::v1::StartUploadRequest* request,
                                                   haq::v1::Upload* response) {
  return RunUnary(
      context, service_.executor(), response, [this, request]() -> Result<haq::v1::Upload> {
        HAQ_ASSIGN_OR_RETURN(const store::UploadState state,
                             service_.uploads().Start(request->sha256(), request->size_bytes()));
        return ToProto(request->sha256(), state);
      });
}

grpc::ServerReadReactor<haq::v1::WriteUploadRequest>* BlobService::WriteUpload(
    grpc::CallbackServerContext*, haq::v1::Upload* response) {
  auto sha256 = std::make_shared<std::string>();
  const int64_t max_bytes = service_.options().limits.max_upload_message_bytes;
  return new ReceiveStream<haq::v1::WriteUploadRequest>(
      service_.executor(), service_.executor(),
      [this, sha256, max_bytes](const haq::v1::WriteUploadRequest& request) {
        return TakePart(service_.uploads(), request, max_bytes, *sha256);
      },
      [this, sha256, response]() -> Status {
        if (sha256->empty()) return InvalidField("sha256", "must be in the first message");
        HAQ_ASSIGN_OR_RETURN(const store::UploadState state, service_.uploads().Sync(*sha256));
        *response = ToProto(*sha256, state);
        return {};
      });
}

grpc::ServerUnaryReactor* ArtifactService::GetArtifact(grpc::CallbackServerContext* context,
                                                       const haq::v1::GetArtifactRequest* request,
                                                       haq::v1::Artifact* response) {
  return RunUnary(context, service_.executor(), response,
                  [this, request] { return service_.artifacts().Get(*request); });
}

grpc::ServerUnaryReactor* ArtifactService::ListArtifacts(
    grpc::CallbackServerContext* context, const haq::v1::ListArtifactsRequest* request,
    haq::v1::ListArtifactsResponse* response) {
  return RunUnary(context, service_.executor(), response,
                  [this, request] { return service_.artifacts().List(*request); });
}

grpc::ServerWriteReactor<haq::v1::DownloadArtifactResponse>* ArtifactService::DownloadArtifact(
    grpc::CallbackServerContext*, const haq::v1::DownloadArtifactRequest* request) {
  struct Download {
    api::OpenArtifact artifact;
    int64_t offset = 0;
    bool started = false;
  };
  auto download = std::make_shared<Download>();
  return new SendStream<haq::v1::DownloadArtifactResponse>(
      service_.executor(),
      [this, request, download](haq::v1::DownloadArtifactResponse& message) -> Result<bool> {
        const bool first = !download->started;
        if (first) {
          HAQ_ASSIGN_OR_RETURN(download->artifact, service_.artifacts().Open(*request));
          download->offset = request->offset();
          download->started = true;
          message.set_sha256(download->artifact.sha256);
          message.set_size_bytes(download->artifact.size_bytes);
        }
        // The first message is sent also when the client has all the bytes.
        const int64_t left = download->artifact.size_bytes - download->offset;
        if (left == 0 && !first) return false;
        std::string& data = *message.mutable_data();
        data.resize(std::min(left, kChunkBytes));
        message.set_offset(download->offset);
        HAQ_ASSIGN_OR_RETURN(
            const size_t got,
            store::ReadAt(download->artifact.file, download->artifact.path, download->offset,
                          {reinterpret_cast<uint8_t*>(data.data()), data.size()}));
        if (got != data.size()) return DataLoss("the artifact's file is shorter than it was");
        download->offset += static_cast<int64_t>(got);
        return true;
      });
}

}  // namespace haq::server::rpc
