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
//    (classification, shared memory) are INVALID_ARGUMENT.
#pragma once

#include <functional>

#include "inference/inference.grpc.pb.h"
#include "server/metrics/metrics.h"
#include "server/serving/engine.h"
#include "server/serving/repository.h"

namespace haq::server::rpc {

// Thread-safe. Answers ModelInfer on the engine's threads, everything else at once.
class InferenceService : public inference::GRPCInferenceService::CallbackService {
 public:
  // `ready` says whether the server is; all must outlive the service.
  InferenceService(serving::Engine& engine, const serving::Repository& repository,
                   metrics::Metrics& metrics, std::function<bool()> ready);

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

 private:
  grpc::ServerUnaryReactor* Finish(grpc::CallbackServerContext* context, const char* method,
                                   const Status& status);

  serving::Engine& engine_;
  const serving::Repository& repository_;
  metrics::Metrics& metrics_;
  const std::function<bool()> ready_;
};

}  // namespace haq::server::rpc
