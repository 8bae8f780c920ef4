// The worker protocol (haq.internal.v1) as a gRPC service.
#pragma once

#include "haq/internal/v1/worker.grpc.pb.h"
#include "server/api/service.h"

namespace haq::server::rpc {

class WorkerService : public haq::internal::v1::WorkerService::CallbackService {
 public:
  explicit WorkerService(api::Service& service) : service_(service) {}

  grpc::ServerUnaryReactor* LeaseJob(grpc::CallbackServerContext* context,
                                     const haq::internal::v1::LeaseJobRequest* request,
                                     haq::internal::v1::LeaseJobResponse* response) override;
  grpc::ServerWriteReactor<haq::internal::v1::ReadBlobResponse>* ReadBlob(
      grpc::CallbackServerContext* context,
      const haq::internal::v1::ReadBlobRequest* request) override;
  grpc::ServerUnaryReactor* ReportEvents(
      grpc::CallbackServerContext* context, const haq::internal::v1::ReportEventsRequest* request,
      haq::internal::v1::ReportEventsResponse* response) override;
  grpc::ServerUnaryReactor* SaveCheckpoint(
      grpc::CallbackServerContext* context, const haq::internal::v1::SaveCheckpointRequest* request,
      haq::internal::v1::SaveCheckpointResponse* response) override;
  grpc::ServerReadReactor<haq::internal::v1::WriteArtifactRequest>* WriteArtifact(
      grpc::CallbackServerContext* context,
      haq::internal::v1::WriteArtifactResponse* response) override;
  grpc::ServerUnaryReactor* CompleteJob(grpc::CallbackServerContext* context,
                                        const haq::internal::v1::CompleteJobRequest* request,
                                        haq::internal::v1::CompleteJobResponse* response) override;
  grpc::ServerUnaryReactor* FailJob(grpc::CallbackServerContext* context,
                                    const haq::internal::v1::FailJobRequest* request,
                                    haq::internal::v1::FailJobResponse* response) override;

 private:
  api::Service& service_;
};

}  // namespace haq::server::rpc
