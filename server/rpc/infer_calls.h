// The calls that run networks: ModelInfer and ModelStreamInfer.
#pragma once

#include "inference/inference.grpc.pb.h"
#include "server/metrics/metrics.h"
#include "server/serving/engine.h"

namespace haq::server::rpc {

// Both start a call that answers by itself and lives until gRPC is done with it; engine and metrics
// outlive it.
grpc::ServerUnaryReactor* StartInfer(grpc::CallbackServerContext* context,
                                     const inference::ModelInferRequest* request,
                                     inference::ModelInferResponse* response,
                                     serving::Engine& engine, metrics::Metrics& metrics);

// Answers come in the order of the requests, of which a fixed number runs at a time. A request that
// fails is answered with its error_message, and the stream goes on.
grpc::ServerBidiReactor<inference::ModelInferRequest, inference::ModelStreamInferResponse>*
StartStreamInfer(grpc::CallbackServerContext* context, serving::Engine& engine,
                 metrics::Metrics& metrics);

}  // namespace haq::server::rpc
