// Uploads and downloads.
#include <memory>
#include <optional>

#include "server/rpc/services.h"
#include "server/rpc/streams.h"
#include "server/rpc/unary.h"

namespace haq::server::rpc {
namespace {

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

grpc::ServerWriteReactor<haq::v1::ReadBlobResponse>* BlobService::ReadBlob(
    grpc::CallbackServerContext*, const haq::v1::ReadBlobRequest* request) {
  auto blob = std::make_shared<std::optional<api::OpenBlob>>();
  return new SendStream<haq::v1::ReadBlobResponse>(
      service_.executor(),
      [this, request, blob](haq::v1::ReadBlobResponse& message) -> Result<bool> {
        if (!*blob) {
          HAQ_ASSIGN_OR_RETURN(*blob, service_.ReadBlob(request->sha256(), request->offset()));
        }
        message.set_offset((*blob)->offset());
        HAQ_ASSIGN_OR_RETURN(*message.mutable_data(), (*blob)->Read());
        return !message.data().empty();
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
  auto artifact = std::make_shared<std::optional<api::OpenArtifact>>();
  return new SendStream<haq::v1::DownloadArtifactResponse>(
      service_.executor(),
      [this, request, artifact](haq::v1::DownloadArtifactResponse& message) -> Result<bool> {
        const bool first = !*artifact;
        if (first) {
          HAQ_ASSIGN_OR_RETURN(*artifact, service_.artifacts().Open(*request));
          message.set_sha256((*artifact)->sha256);
          message.set_size_bytes((*artifact)->size_bytes);
        }
        message.set_offset((*artifact)->blob.offset());
        HAQ_ASSIGN_OR_RETURN(*message.mutable_data(), (*artifact)->blob.Read());
        // The first message is sent also when the client has all the bytes.
        return first || !message.data().empty();
      });
}

}  // namespace haq::server::rpc
