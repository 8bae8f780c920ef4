// The gRPC side of Client, for its own sources only.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>

#include "client/lib/client.h"
#include "client/lib/retry.h"
#include "client/lib/status.h"
#include "haq/v1/artifacts.grpc.pb.h"
#include "haq/v1/blobs.grpc.pb.h"
#include "haq/v1/datasets.grpc.pb.h"
#include "haq/v1/jobs.grpc.pb.h"
#include "haq/v1/models.grpc.pb.h"
#include "inference/inference.grpc.pb.h"

namespace haq::client {

struct Client::Stubs {
  explicit Stubs(const std::shared_ptr<grpc::Channel>& channel)
      : blobs(v1::BlobService::NewStub(channel)),
        models(v1::ModelService::NewStub(channel)),
        datasets(v1::DatasetService::NewStub(channel)),
        jobs(v1::JobService::NewStub(channel)),
        artifacts(v1::ArtifactService::NewStub(channel)),
        inference(inference::GRPCInferenceService::NewStub(channel)) {}

  std::unique_ptr<v1::BlobService::Stub> blobs;
  std::unique_ptr<v1::ModelService::Stub> models;
  std::unique_ptr<v1::DatasetService::Stub> datasets;
  std::unique_ptr<v1::JobService::Stub> jobs;
  std::unique_ptr<v1::ArtifactService::Stub> artifacts;
  std::unique_ptr<inference::GRPCInferenceService::Stub> inference;
};

// The status as a user wants it: a server that cannot be reached is named.
Status Describe(const ClientOptions& options, const grpc::Status& status);

enum class Repeat { kNo, kWhileUnavailable };

// One unary call with the deadline of the options (or none), repeated while the server is away.
template <typename Stub, typename Request, typename Response>
Result<Response> Call(const ClientOptions& options, Stub& stub,
                      grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                      const Request& request, int64_t timeout_ms,
                      Repeat repeat = Repeat::kWhileUnavailable) {
  const auto deadline =
      timeout_ms > 0 ? std::chrono::system_clock::now() + std::chrono::milliseconds(timeout_ms)
                     : std::chrono::system_clock::time_point::max();
  Backoff backoff(options.retry_ms);
  while (true) {
    grpc::ClientContext context;
    context.set_deadline(deadline);
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (status.ok()) return response;
    const bool again =
        repeat == Repeat::kWhileUnavailable && status.error_code() == grpc::StatusCode::UNAVAILABLE;
    if (!again || !backoff.Wait()) return Describe(options, status);
  }
}

}  // namespace haq::client
