// Keeps a lease alive and the server informed while the job works.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "core/base/cancellation.h"
#include "server/worker/events.h"
#include "server/worker/link.h"

namespace haq::server::worker {

// Sends what was added at most every kReportInterval, and an empty report when nothing changed for
// a third of the lease. When the server wants the job to stop, or the lease is lost, it cancels
// `cancellation`. Thread-safe.
class Reporter {
 public:
  static constexpr auto kReportInterval = std::chrono::milliseconds(200);

  // `link` outlives the reporter.
  Reporter(Link& link, proto::Lease lease, int64_t lease_ms, CancellationToken cancellation);
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;
  ~Reporter();  // Stop()

  void OnProgress(const pipeline::Progress& progress);
  void OnAccuracy(const pipeline::Accuracy& accuracy);
  void OnLog(const std::string& level, const std::string& message);

  // Returns when everything added so far was sent; kFailedPrecondition when the lease is lost.
  Status Flush();
  // Ends the reports; what was not flushed is dropped.
  void Stop();

  // Somebody asked the server to cancel the job.
  bool cancel_requested() const;
  // The lease expired or went to another worker, or the server was away for too long.
  bool lost() const;

 private:
  using Clock = std::chrono::steady_clock;
  void Run();
  void Send(std::unique_lock<std::mutex>& lock);

  Link& link_;
  const proto::Lease lease_;
  const CancellationToken cancellation_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  EventBuffer buffer_;  // guarded by mutex_, as all below
  std::chrono::milliseconds heartbeat_;
  Clock::time_point sent_at_;
  bool sending_ = false;
  bool flush_ = false;  // somebody waits: send at once
  bool stop_ = false;
  bool cancel_requested_ = false;
  bool lost_ = false;

  std::thread thread_;
};

}  // namespace haq::server::worker
