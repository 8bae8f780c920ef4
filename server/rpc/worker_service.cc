#include "server/rpc/worker_service.h"

#include <algorithm>
#include <memory>

#include "server/rpc/lease_call.h"
#include "server/rpc/streams.h"
#include "server/rpc/unary.h"

namespace haq::server::rpc {
namespace {

namespace pb = haq::internal::v1;

constexpr int64_t kChunkBytes = 256 << 10;

}  // namespace

grpc::ServerUnaryReactor* WorkerService::LeaseJob(grpc::CallbackServerContext* context,
                                                  const pb::LeaseJobRequest* request,
                                                  pb::LeaseJobResponse* response) {
  const bool local = context->peer().starts_with("unix:");
  return LeaseReactor::Start(service_, local, *request, response);
}

grpc::ServerWriteReactor<pb::ReadBlobResponse>* WorkerService::ReadBlob(
    grpc::CallbackServerContext*, const pb::ReadBlobRequest* request) {
  struct Reading {
    api::OpenBlob blob;
    int64_t offset = -1;
  };
  auto reading = std::make_shared<Reading>();
  return new SendStream<pb::ReadBlobResponse>(
      service_.executor(), [this, request, reading](pb::ReadBlobResponse& message) -> Result<bool> {
        if (reading->offset < 0) {
          HAQ_ASSIGN_OR_RETURN(reading->blob, service_.workers().ReadBlob(*request));
          reading->offset = request->offset();
        }
        const int64_t left = reading->blob.size_bytes - reading->offset;
        if (left == 0) return false;
        std::string& data = *message.mutable_data();
        data.resize(std::min(left, kChunkBytes));
        HAQ_ASSIGN_OR_RETURN(const size_t got,
                             store::ReadAt(reading->blob.file, reading->blob.path, reading->offset,
                                           {reinterpret_cast<uint8_t*>(data.data()), data.size()}));
        if (got != data.size()) return DataLoss("the blob's file is shorter than it was");
        reading->offset += static_cast<int64_t>(got);
        return true;
      });
}

grpc::ServerUnaryReactor* WorkerService::ReportEvents(grpc::CallbackServerContext* context,
                                                      const pb::ReportEventsRequest* request,
                                                      pb::ReportEventsResponse* response) {
  return RunUnary(context, service_.executor(), response,
                  [this, request] { return service_.workers().ReportEvents(*request); });
}

grpc::ServerUnaryReactor* WorkerService::SaveCheckpoint(grpc::CallbackServerContext* context,
                                                        const pb::SaveCheckpointRequest* request,
                                                        pb::SaveCheckpointResponse* response) {
  return RunUnaryEmpty(context, service_.executor(), response,
                       [this, request] { return service_.workers().SaveCheckpoint(*request); });
}

grpc::ServerReadReactor<pb::WriteArtifactRequest>* WorkerService::WriteArtifact(
    grpc::CallbackServerContext*, pb::WriteArtifactResponse*) {
  auto upload = std::make_shared<std::unique_ptr<api::ArtifactUpload>>();
  return new ReceiveStream<pb::WriteArtifactRequest>(
      service_.executor(), service_.heavy_executor(),
      [this, upload](const pb::WriteArtifactRequest& request) -> Status {
        if (!*upload) {
          HAQ_ASSIGN_OR_RETURN(*upload, service_.workers().StartArtifact(request));
        }
        const std::string& data = request.data();
        return (*upload)->Write({reinterpret_cast<const uint8_t*>(data.data()), data.size()});
      },
      [this, upload]() -> Status {
        if (!*upload) return InvalidField("lease", "must be in the first message");
        return service_.workers().Finish(**upload);
      });
}

grpc::ServerUnaryReactor* WorkerService::CompleteJob(grpc::CallbackServerContext* context,
                                                     const pb::CompleteJobRequest* request,
                                                     pb::CompleteJobResponse* response) {
  return RunUnary(context, service_.executor(), response,
                  [this, request] { return service_.workers().Complete(*request); });
}

grpc::ServerUnaryReactor* WorkerService::FailJob(grpc::CallbackServerContext* context,
                                                 const pb::FailJobRequest* request,
                                                 pb::FailJobResponse* response) {
  return RunUnaryEmpty(context, service_.executor(), response,
                       [this, request] { return service_.workers().Fail(*request); });
}

}  // namespace haq::server::rpc
