// The queue of jobs: who may work on what until when, and what happened so far.
//
// Everything is a transaction of the store, so that a restart finds what was acknowledged. A worker
// proves by its lease that a job is its own; a lease that expired, or that was taken away, is
// kFailedPrecondition in every call.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "haq/v1/jobs.pb.h"
#include "server/jobs/listener.h"
#include "server/jobs/notifier.h"
#include "server/jobs/phase_clock.h"
#include "server/jobs/transitions.h"
#include "server/store/blob_store.h"
#include "server/store/clock.h"
#include "server/store/metadata.h"

namespace haq::server::jobs {

struct QueueOptions {
  int64_t lease_ms = 30'000;  // a worker that is silent for so long has lost its job
  int64_t max_attempts = 3;   // attempts that end without result or failure
  int64_t max_queued = 1000;  // jobs that wait
  int64_t max_event_bytes = 64 << 10;
  int64_t max_events_per_job = 200'000;
  int64_t max_events_per_report = 1000;
  int64_t max_checkpoint_bytes = 256 << 20;
  int64_t max_report_bytes = 16 << 20;
  int64_t max_job_seconds = 86'400;  // of one attempt; 0 is no limit
};

// A worker's claim, as the protocol carries it.
struct Lease {
  int64_t job = 0;
  std::string token;
};

struct LeasedJob {
  Lease lease;
  store::JobRecord job;
  store::ModelRecord model;
  std::vector<store::ShardRecord> calibration_shards;
  std::vector<store::ShardRecord> evaluation_shards;
  std::string checkpoint;  // empty: from the beginning
};

// How a worker process ended.
struct ProcessExit {
  int signal = 0;  // that killed it, or 0
  int code = 0;    // its exit code when no signal did
  // The limit that it ran into, in words; empty: none.
  std::string limit = {};
  // "exited with code 1", "was killed (signal 9, Killed)", "was ended by its limit of ..."
  std::string Describe() const;
  // The process damaged itself (SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE): the job would do it
  // again.
  bool Crashed() const;
};

struct EventPage {
  std::vector<haq::v1::JobEvent> events;
  bool ended = false;  // the last of them, or one before them, ended the job
};

// Thread-safe.
class Queue {
 public:
  // `listener` may be null; all must outlive the queue.
  Queue(store::Metadata& metadata, store::BlobStore& blobs, std::filesystem::path checkpoints,
        const store::Clock& clock, const QueueOptions& options, Listener* listener);

  // Once at start, before workers come: leases of processes that died with the last server go back
  // to the queue (this uses up no attempt), and checkpoints that no job refers to are removed.
  Status Recover();

  // Wakes every waiter; from then on Acquire is kUnavailable and closed() is true.
  void Close();
  bool closed() const { return closed_.load(); }

  // One transaction of the store, and after its commit what follows from it: listeners, watchers,
  // blobs and checkpoints that nothing refers to.
  using Function = std::function<Status(store::Transaction&, Effects&)>;
  Status Transact(const Function& function);

  // Inside a transaction: a new queued job; kResourceExhausted when too many wait.
  Result<store::JobRecord> Submit(store::Transaction& transaction, Effects& effects,
                                  store::JobRecord job);
  // Inside a transaction: ends a queued or running job as FAILED.
  void FailNow(store::Transaction& transaction, Effects& effects, store::JobRecord job,
               const Status& reason);

  // QUEUED: cancelled at once. RUNNING: the worker is told. kFailedPrecondition when it ended.
  Result<store::JobRecord> Cancel(int64_t number);

  // Events from `from_sequence` (0 and 1: the first) on, at most `limit`.
  Result<EventPage> Events(int64_t number, int64_t from_sequence, int64_t limit);
  // Calls back after new events of the job were stored, and when the queue closes.
  Subscription OnEvents(int64_t number, std::function<void()> callback);
  // Calls back when a job was queued, and when the queue closes.
  Subscription OnQueued(std::function<void()> callback);

  // The job that waited longest, or nothing. `local`: the worker dies with this server.
  Result<std::optional<LeasedJob>> Acquire(const std::string& worker, bool local);
  // Gives back a lease that never reached its worker; uses up no attempt.
  Status GiveBack(const Lease& lease);
  // The job under that lease, which is extended.
  Result<store::JobRecord> Extend(const Lease& lease);
  // kNotFound unless the leased job refers to the blob.
  Status CheckMayRead(const Lease& lease, const std::string& sha256);
  // Stores progress, accuracy and log events; true when the worker should stop.
  Result<bool> Report(const Lease& lease, const std::vector<haq::v1::JobEvent>& events);
  Status SaveCheckpoint(const Lease& lease, std::span<const uint8_t> checkpoint);
  // Notes a blob as the job's artifact, which the caller has verified.
  Status HandIn(const Lease& lease, const std::string& sha256, int64_t size_bytes);
  // Registers the artifact that was handed in as the model's next version, with `serve` also as the
  // served one (otherwise an event tells `reason`), and ends the job as SUCCEEDED.
  Result<store::ArtifactRecord> Complete(const Lease& lease, const std::string& artifact_sha256,
                                         const std::string& report_json, bool serve = true,
                                         const std::string& reason = "");
  // Ends the job as FAILED, or CANCELLED when that was asked for; `retry` puts it back to the
  // queue.
  Status Fail(const Lease& lease, const Status& reason, bool retry);

  // A worker process of this machine ended: a crash or a limit fails its job, since it would come
  // to the same again, anything else puts it back. With
  // `only_one` every local lease was that worker's, whatever name it gave.
  Status ReleaseWorker(const std::string& worker, const ProcessExit& exit, bool only_one = false);
  // Every local worker's job goes back to the queue and uses up no attempt: the server stops.
  Status ReleaseLocal(const std::string& reason);
  // Puts back the jobs whose lease is over, and fails those whose attempt took too long. Called
  // from time to time. The names of the local workers that had them: whatever they do now, it is of
  // no use.
  Result<std::vector<std::string>> ExpireLeases();

 private:
  Result<store::JobRecord> FindLeased(store::Transaction& transaction, const Lease& lease) const;
  Status CheckEvents(const store::JobRecord& job,
                     const std::vector<haq::v1::JobEvent>& events) const;
  Status ReleaseRunning(
      const std::function<bool(const store::JobRecord&)>& matches,
      const std::function<void(store::Transaction&, Effects&, store::JobRecord&)>& release);
  void ApplyEvent(Effects& effects, store::JobRecord& job, int64_t now_us,
                  const haq::v1::JobEvent& event);
  Status ReadInputs(store::Transaction& transaction, LeasedJob& leased) const;
  void LoadCheckpoint(LeasedJob& leased) const;
  void Publish(const Effects& effects);
  void Release(const Effects& effects);
  void CountImages(Effects& effects, int64_t job, int64_t done);
  bool IsOverdue(const store::JobRecord& job, int64_t now_us);

  store::Metadata& metadata_;
  store::BlobStore& blobs_;
  const std::filesystem::path checkpoints_;
  const store::Clock& clock_;
  const QueueOptions options_;
  Listener* const listener_;
  PhaseClock phases_;
  Notifier events_;
  Notifier queued_;
  std::atomic<bool> closed_{false};
  std::atomic<int64_t> checkpoint_counter_{0};

  std::mutex calibrated_mutex_;
  std::map<int64_t, int64_t> calibrated_;  // most images that a running job reported; guarded

  struct Attempt {
    int64_t number = 0;
    int64_t start_us = 0;  // for a lease that is older than this process: when it was first seen
  };
  std::mutex attempts_mutex_;
  std::map<int64_t, Attempt> attempts_;  // of jobs that run, by number; guarded
};

}  // namespace haq::server::jobs
