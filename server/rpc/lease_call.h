// A worker's wait for a job.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <mutex>

#include "haq/internal/v1/worker.pb.h"
#include "server/api/service.h"

namespace haq::server::rpc {

// Answers with a job as soon as there is one, or without one when the time is over. While it waits
// it holds no thread. A job that was leased for a worker which went away meanwhile is given back.
class LeaseReactor : public grpc::ServerUnaryReactor,
                     public std::enable_shared_from_this<LeaseReactor> {
 public:
  // Lives until gRPC is done with it; so do the messages.
  static LeaseReactor* Start(api::Service& service, bool local,
                             const haq::internal::v1::LeaseJobRequest& request,
                             haq::internal::v1::LeaseJobResponse* response);

  void OnCancel() override;
  void OnDone() override;

 private:
  LeaseReactor(api::Service& service, bool local, const haq::internal::v1::LeaseJobRequest& request,
               haq::internal::v1::LeaseJobResponse* response)
      : service_(service), local_(local), request_(request), response_(response) {}

  void Prepare();
  void Wake(bool* flag);
  void Try();
  // True when it tried for the last time or gave `busy_` away.
  bool SleepUnlessDirty();

  api::Service& service_;
  const bool local_;
  const haq::internal::v1::LeaseJobRequest& request_;
  haq::internal::v1::LeaseJobResponse* const response_;
  std::shared_ptr<LeaseReactor> self_;
  jobs::Subscription subscription_;
  grpc::Alarm alarm_;

  std::mutex mutex_;
  bool busy_ = true;  // a task runs, or the call has ended; all of these guarded by mutex_
  bool dirty_ = false;
  bool timed_out_ = false;
  bool cancelled_ = false;
  haq::internal::v1::LeaseJobResponse granted_;  // the lease that the answer carries
};

}  // namespace haq::server::rpc
