// The stream of a job's events.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <deque>
#include <memory>
#include <mutex>

#include "haq/v1/jobs.pb.h"
#include "server/api/service.h"

namespace haq::server::rpc {

// Sends the stored events from `from_sequence` on, then each new one when the queue tells of it,
// and ends after the event that ends the job, or with UNAVAILABLE when the server stops. Between
// events it holds no thread.
class WatchReactor : public grpc::ServerWriteReactor<haq::v1::JobEvent>,
                     public std::enable_shared_from_this<WatchReactor> {
 public:
  // Lives until gRPC is done with it.
  static WatchReactor* Start(api::Service& service, const haq::v1::WatchJobRequest& request);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  WatchReactor(api::Service& service, const haq::v1::WatchJobRequest& request)
      : service_(service), request_(request) {}

  void Wake();
  void Prepare();
  void Pump();
  // Loads what is stored; false when it has finished the call or gone to sleep.
  bool LoadMore();
  bool SleepUnlessDirty();
  void End(const Status& status);

  api::Service& service_;
  std::shared_ptr<WatchReactor> self_;
  jobs::Subscription subscription_;

  // Touched only by whoever holds `busy_`: a task on the executor or a write under way.
  haq::v1::WatchJobRequest request_;
  int64_t job_ = 0;
  int64_t next_sequence_ = 1;
  std::deque<haq::v1::JobEvent> pending_;
  haq::v1::JobEvent writing_;
  bool ended_ = false;

  std::mutex mutex_;
  bool busy_ = true;    // all of these guarded by mutex_
  bool dirty_ = false;  // something happened since events were last loaded
  bool cancelled_ = false;
};

}  // namespace haq::server::rpc
