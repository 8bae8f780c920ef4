#include "server/rpc/inference_service.h"

#include <string>
#include <utility>

#include "server/oip/describe.h"
#include "server/rpc/infer_calls.h"
#include "server/rpc/status.h"

namespace haq::server::rpc {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

// Files and configurations of a client's own would be somebody else's bytes in the serving process;
// jobs are the way in.
template <typename Parameters>
Status CheckLoadParameters(const Parameters& parameters) {
  for (const auto& [name, value] : parameters) {
    if (name == "config" || name.starts_with("file:")) {
      return Status(StatusCode::kUnsupported,
                    "parameters." + name + ": the server loads its own served version alone")
          .AddField("parameters." + name, "is not supported");
    }
  }
  return {};
}

}  // namespace

InferenceService::InferenceService(serving::Engine& engine, const serving::Repository& repository,
                                   serving::Loader& loader, metrics::Metrics& metrics,
                                   std::function<bool()> ready)
    : engine_(engine),
      repository_(repository),
      loader_(loader),
      metrics_(metrics),
      ready_(std::move(ready)) {}

void InferenceService::Finish(ServerUnaryReactor* reactor, const char* method,
                              const Status& status) {
  metrics_.CountRpc(fmt::format("/inference.GRPCInferenceService/{}", method),
                    StatusCodeName(status.code()));
  reactor->Finish(ToGrpc(status));
}

ServerUnaryReactor* InferenceService::Finish(CallbackServerContext* context, const char* method,
                                             const Status& status) {
  // Once for a call: asking for it makes it.
  ServerUnaryReactor* const reactor = context->DefaultReactor();
  Finish(reactor, method, status);
  return reactor;
}

grpc::ServerUnaryReactor* InferenceService::ServerLive(grpc::CallbackServerContext* context,
                                                       const inference::ServerLiveRequest*,
                                                       inference::ServerLiveResponse* response) {
  response->set_live(true);
  return Finish(context, "ServerLive", {});
}

grpc::ServerUnaryReactor* InferenceService::ServerReady(grpc::CallbackServerContext* context,
                                                        const inference::ServerReadyRequest*,
                                                        inference::ServerReadyResponse* response) {
  response->set_ready(ready_());
  return Finish(context, "ServerReady", {});
}

grpc::ServerUnaryReactor* InferenceService::ModelReady(grpc::CallbackServerContext* context,
                                                       const inference::ModelReadyRequest* request,
                                                       inference::ModelReadyResponse* response) {
  response->set_ready(repository_.Acquire(request->name(), request->version()).ok());
  return Finish(context, "ModelReady", {});
}

ServerUnaryReactor* InferenceService::ServerMetadata(CallbackServerContext* context,
                                                     const inference::ServerMetadataRequest*,
                                                     inference::ServerMetadataResponse* response) {
  *response = oip::ServerMetadata();
  return Finish(context, "ServerMetadata", {});
}

ServerUnaryReactor* InferenceService::ModelMetadata(CallbackServerContext* context,
                                                    const inference::ModelMetadataRequest* request,
                                                    inference::ModelMetadataResponse* response) {
  const auto model = repository_.Acquire(request->name(), request->version());
  if (model.ok()) *response = oip::ModelMetadata(**model, engine_.settings());
  return Finish(context, "ModelMetadata", model.status());
}

ServerUnaryReactor* InferenceService::ModelInfer(CallbackServerContext* context,
                                                 const inference::ModelInferRequest* request,
                                                 inference::ModelInferResponse* response) {
  return StartInfer(context, request, response, engine_, metrics_);
}

grpc::ServerBidiReactor<inference::ModelInferRequest, inference::ModelStreamInferResponse>*
InferenceService::ModelStreamInfer(CallbackServerContext* context) {
  return StartStreamInfer(context, engine_, metrics_);
}

ServerUnaryReactor* InferenceService::ModelConfig(CallbackServerContext* context,
                                                  const inference::ModelConfigRequest* request,
                                                  inference::ModelConfigResponse* response) {
  const auto model = repository_.Acquire(request->name(), request->version());
  if (model.ok()) *response->mutable_config() = oip::ModelConfig(**model, engine_.settings());
  return Finish(context, "ModelConfig", model.status());
}

ServerUnaryReactor* InferenceService::ModelStatistics(
    CallbackServerContext* context, const inference::ModelStatisticsRequest* request,
    inference::ModelStatisticsResponse* response) {
  auto statistics = oip::ModelStatistics(repository_, request->name(), request->version());
  if (statistics.ok()) *response = *std::move(statistics);
  return Finish(context, "ModelStatistics", statistics.status());
}

ServerUnaryReactor* InferenceService::RepositoryIndex(
    CallbackServerContext* context, const inference::RepositoryIndexRequest* request,
    inference::RepositoryIndexResponse* response) {
  *response = oip::RepositoryIndex(repository_, request->ready());
  return Finish(context, "RepositoryIndex", {});
}

ServerUnaryReactor* InferenceService::RepositoryModelLoad(
    CallbackServerContext* context, const inference::RepositoryModelLoadRequest* request,
    inference::RepositoryModelLoadResponse*) {
  if (const Status status = CheckLoadParameters(request->parameters()); !status.ok()) {
    return Finish(context, "RepositoryModelLoad", status);
  }
  ServerUnaryReactor* const reactor = context->DefaultReactor();
  loader_.Load(request->model_name(), [this, reactor](const Status& status) {
    Finish(reactor, "RepositoryModelLoad", status);
  });
  return reactor;
}

ServerUnaryReactor* InferenceService::RepositoryModelUnload(
    CallbackServerContext* context, const inference::RepositoryModelUnloadRequest* request,
    inference::RepositoryModelUnloadResponse*) {
  return Finish(context, "RepositoryModelUnload", loader_.Unload(request->model_name()));
}

}  // namespace haq::server::rpc
