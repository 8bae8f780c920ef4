// The state machine of a job, on its row. docs/job_store.md draws it.
//
//   new -> QUEUED -> RUNNING -> SUCCEEDED | FAILED | CANCELLED
//             ^---------'            QUEUED -> FAILED | CANCELLED
//
// Every function changes the record, stores it with the event that tells of the change, and notes
// in `effects` what has to happen once the transaction is committed.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "haq/v1/jobs.pb.h"
#include "server/jobs/listener.h"
#include "server/store/metadata.h"

namespace haq::server::jobs {

// What follows from a transaction after it is committed; nothing of it when it is rolled back.
struct Effects {
  struct StateChange {
    int64_t job = 0;
    JobState from = JobState::kNone;
    JobState to = JobState::kNone;
  };
  std::vector<StateChange> state_changes;
  std::set<int64_t> jobs_with_events;
  int64_t calibration_images = 0;
  // Progress that a running job told of.
  struct Progress {
    int64_t job = 0;
    int64_t time_us = 0;
    std::string phase;
    double images_per_second = 0;
  };
  std::vector<Progress> progress;
  // Removed when nothing refers to them any more.
  std::vector<std::string> released_blobs;
  std::vector<std::string> released_checkpoints;
};

// "jobs/7"
std::string JobName(int64_t number);

// Numbers, dates and stores an event of the job; the caller stores the record.
void AppendEvent(store::Transaction& transaction, Effects& effects, store::JobRecord& job,
                 int64_t now_us, haq::v1::JobEvent event);

// A new job, queued.
store::JobRecord EnterQueue(store::Transaction& transaction, Effects& effects, int64_t now_us,
                            store::JobRecord job);

// QUEUED -> RUNNING under that lease.
void Start(store::Transaction& transaction, Effects& effects, store::JobRecord& job, int64_t now_us,
           const store::LeaseRecord& lease);

// RUNNING -> QUEUED, because the lease ended without a result. A job that was asked to stop becomes
// CANCELLED instead. With `counts`, the attempt is one of the `max_attempts` that a job has; after
// the last the job is FAILED with UNAVAILABLE and the reason.
void Requeue(store::Transaction& transaction, Effects& effects, store::JobRecord& job,
             int64_t now_us, const std::string& reason, bool counts, int64_t max_attempts);

// To one of the three last states. For kFailed `status` is the error, for kCancelled its message is
// the reason, for kSucceeded it is OK.
void End(store::Transaction& transaction, Effects& effects, store::JobRecord& job, int64_t now_us,
         JobState state, const Status& status);

}  // namespace haq::server::jobs
