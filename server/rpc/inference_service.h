// The Open Inference Protocol over gRPC: translates between its messages and serving.
//
// Choices where the protocol leaves one:
//  - outputs come back raw (raw_output_contents) when the request was raw, typed (fp32_contents)
//    otherwise;
//  - ModelReady of a name that is not served is OK with ready = false, as Triton answers, so that a
//    client can poll; every other call that names it is NOT_FOUND;
//  - of the request parameters `priority` and `timeout` (microseconds to start in) are honoured,
//  the
//    others are hints and ignored, but those that would change what the answer means
//    (shared memory) are INVALID_ARGUMENT;
//  - the parameter `datatype` of a requested output (FP32, UINT8, INT8) asks for its quantized
//  levels.
#pragma once

#include <functional>

#include "inference/inference.grpc.pb.h"
#include "server/metrics/metrics.h"
#include "server/serving/engine.h"
#include "server/serving/loader.h"
#include "server/serving/repository.h"

namespace haq::server::rpc {

// Thread-safe. Answers ModelInfer on the engine's threads, everything else at once.
class InferenceService : public inference::GRPCInferenceService::CallbackService {
 public:
  // `ready` says whether the server is; all must outlive the service.
  InferenceService(serving::Engine& engine, const serving::Repository& repository,
                   serving::Loader& loader, metrics::Metrics& metrics, std::function<bool()> ready);

  grpc::ServerUnaryReactor* ServerLive(grpc::CallbackServerContext* context,
                                       const inference::ServerLiveRequest* request,
                                       inference::ServerLiveResponse* response) override;
  grpc::ServerUnaryReactor* ServerReady(grpc::CallbackServerContext* context,
                                        const inference::ServerReadyRequest* request,
                                        inference::ServerReadyResponse* response) override;
  grpc::ServerUnaryReactor* ModelReady(grpc::CallbackServerContext* context,
                                       const inference::ModelReadyRequest* request,
                                       inference::ModelReadyResponse* response) override;
  grpc::ServerUnaryReactor* ServerMetadata(grpc::CallbackServerContext* context,
                                           const inference::ServerMetadataRequest* request,
                                           inference::ServerMetadataResponse* response) override;
  grpc::ServerUnaryReactor* ModelMetadata(grpc::CallbackServerContext* context,
                                          const inference::ModelMetadataRequest* request,
                                          inference::ModelMetadataResponse* response) override;
  grpc::ServerUnaryReactor* ModelInfer(grpc::CallbackServerContext* context,
                                       const inference::ModelInferRequest* request,
                                       inference::ModelInferResponse* response) override;
  grpc::ServerBidiReactor<inference::ModelInferRequest, inference::ModelStreamInferResponse>*
  ModelStreamInfer(grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* ModelConfig(grpc::CallbackServerContext* context,
                                        const inference::ModelConfigRequest* request,
                                        inference::ModelConfigResponse* response) override;
  grpc::ServerUnaryReactor* ModelStatistics(grpc::CallbackServerContext* context,
                                            const inference::ModelStatisticsRequest* request,
                                            inference::ModelStatisticsResponse* response) override;
  grpc::ServerUnaryReactor* RepositoryIndex(grpc::CallbackServerContext* context,
                                            const inference::RepositoryIndexRequest* request,
                                            inference::RepositoryIndexResponse* response) override;
  grpc::ServerUnaryReactor* RepositoryModelLoad(
      grpc::CallbackServerContext* context, const inference::RepositoryModelLoadRequest* request,
      inference::RepositoryModelLoadResponse* response) override;
  grpc::ServerUnaryReactor* RepositoryModelUnload(
      grpc::CallbackServerContext* context, const inference::RepositoryModelUnloadRequest* request,
      inference::RepositoryModelUnloadResponse* response) override;

 private:
  void Finish(grpc::ServerUnaryReactor* reactor, const char* method, const Status& status);
  grpc::ServerUnaryReactor* Finish(grpc::CallbackServerContext* context, const char* method,
                                   const Status& status);

  serving::Engine& engine_;
  const serving::Repository& repository_;
  serving::Loader& loader_;
  metrics::Metrics& metrics_;
  const std::function<bool()> ready_;
};

}  // namespace haq::server::rpc
