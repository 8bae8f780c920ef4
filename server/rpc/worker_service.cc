#include "server/rpc/worker_service.h"

#include <memory>
#include <optional>

#include "server/rpc/lease_call.h"
#include "server/rpc/streams.h"
#include "server/rpc/unary.h"

namespace haq::server::rpc {
namespace {

namespace pb = haq::internal::v1;

}  // namespace

grpc::ServerUnaryReactor* WorkerService::LeaseJob(grpc::CallbackServerContext* context,
                                                  const pb::LeaseJobRequest* request,
                                                  pb::LeaseJobResponse* response) {
  const bool local = context->peer().starts_with("unix:");
  return LeaseReactor::Start(service_, local, *request, response);
}

grpc::ServerWriteReactor<pb::ReadBlobResponse>* WorkerService::ReadBlob(
    grpc::CallbackServerContext*, const pb::ReadBlobRequest* request) {
  auto blob = std::make_shared<std::optional<api::OpenBlob>>();
  return new SendStream<pb::ReadBlobResponse>(
      service_.executor(), [this, request, blob](pb::ReadBlobResponse& message) -> Result<bool> {
        if (!*blob) {
          HAQ_ASSIGN_OR_RETURN(*blob, service_.workers().ReadBlob(*request));
        }
        HAQ_ASSIGN_OR_RETURN(*message.mutable_data(), (*blob)->Read());
        return !message.data().empty();
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
