#include "server/rpc/services.h"
#include "server/rpc/unary.h"
#include "server/rpc/watch.h"

namespace haq::server::rpc {

grpc::ServerUnaryReactor* JobService::CreateJob(grpc::CallbackServerContext* context,
                                                const haq::v1::CreateJobRequest* request,
                                                haq::v1::Job* response) {
  return RunUnary(context, service_.executor(), response,
                  [this, request] { return service_.calibration_jobs().Create(*request); });
}

grpc::ServerUnaryReactor* JobService::GetJob(grpc::CallbackServerContext* context,
                                             const haq::v1::GetJobRequest* request,
                                             haq::v1::Job* response) {
  return RunUnary(context, service_.executor(), response,
                  [this, request] { return service_.calibration_jobs().Get(*request); });
}

grpc::ServerUnaryReactor* JobService::ListJobs(grpc::CallbackServerContext* context,
                                               const haq::v1::ListJobsRequest* request,
                                               haq::v1::ListJobsResponse* response) {
  return RunUnary(context, service_.executor(), response,
                  [this, request] { return service_.calibration_jobs().List(*request); });
}

grpc::ServerUnaryReactor* JobService::CancelJob(grpc::CallbackServerContext* context,
                                                const haq::v1::CancelJobRequest* request,
                                                haq::v1::Job* response) {
  return RunUnary(context, service_.executor(), response,
                  [this, request] { return service_.calibration_jobs().Cancel(*request); });
}

grpc::ServerWriteReactor<haq::v1::JobEvent>* JobService::WatchJob(
    grpc::CallbackServerContext*, const haq::v1::WatchJobRequest* request) {
  return WatchReactor::Start(service_, *request);
}

}  // namespace haq::server::rpc
