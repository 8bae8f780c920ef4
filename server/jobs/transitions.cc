#include "server/jobs/transitions.h"

#include <google/protobuf/util/time_util.h>

namespace haq::server::jobs {
namespace {

haq::v1::JobEvent StateEvent(const store::JobRecord& job, const std::string& reason) {
  haq::v1::JobEvent event;
  auto& change = *event.mutable_state_change();
  change.set_state(static_cast<haq::v1::JobState>(job.state));
  change.set_reason(reason);
  if (job.artifact_version > 0) {
    change.set_artifact(fmt::format("models/{}/versions/{}", job.model_id, job.artifact_version));
  }
  return event;
}

void ChangeState(store::Transaction& transaction, Effects& effects, store::JobRecord& job,
                 int64_t now_us, JobState to, const std::string& reason) {
  effects.state_changes.push_back({job.number, job.state, to});
  job.state = to;
  AppendEvent(transaction, effects, job, now_us, StateEvent(job, reason));
  transaction.UpdateJob(job);
}

// What a worker left behind that its successor does not need.
void DropHandedIn(Effects& effects, store::JobRecord& job) {
  if (!job.handed_in_sha256.empty()) effects.released_blobs.push_back(job.handed_in_sha256);
  job.handed_in_sha256.clear();
  job.handed_in_size_bytes = 0;
}

}  // namespace

std::string JobName(int64_t number) { return fmt::format("jobs/{}", number); }

void AppendEvent(store::Transaction& transaction, Effects& effects, store::JobRecord& job,
                 int64_t now_us, haq::v1::JobEvent event) {
  event.set_sequence(++job.last_sequence);
  event.set_attempt(static_cast<int32_t>(job.attempt));
  *event.mutable_time() = google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(now_us);
  transaction.InsertEvent(job.number,
                          {job.last_sequence, now_us, job.attempt, event.SerializeAsString()});
  effects.jobs_with_events.insert(job.number);
}

store::JobRecord EnterQueue(store::Transaction& transaction, Effects& effects, int64_t now_us,
                            store::JobRecord job) {
  job.create_time_us = now_us;
  job.state = JobState::kNone;
  job.number = transaction.InsertJob(job);
  ChangeState(transaction, effects, job, now_us, JobState::kQueued, "created");
  return job;
}

void Start(store::Transaction& transaction, Effects& effects, store::JobRecord& job, int64_t now_us,
           const store::LeaseRecord& lease) {
  job.lease = lease;
  ++job.attempt;
  if (job.start_time_us == 0) job.start_time_us = now_us;
  ChangeState(transaction, effects, job, now_us, JobState::kRunning,
              fmt::format("taken by worker {}", lease.worker));
}

void Requeue(store::Transaction& transaction, Effects& effects, store::JobRecord& job,
             int64_t now_us, const std::string& reason, bool counts, int64_t max_attempts) {
  if (job.cancel_requested) {
    return End(transaction, effects, job, now_us, JobState::kCancelled,
               Cancelled("cancelled on request; {}", reason));
  }
  if (counts) ++job.lost;
  if (job.lost >= max_attempts) {
    return End(transaction, effects, job, now_us, JobState::kFailed,
               Unavailable("given up after {} attempts; the last one: {}", job.lost, reason));
  }
  DropHandedIn(effects, job);
  job.lease = {};
  ChangeState(transaction, effects, job, now_us, JobState::kQueued, reason);
}

void End(store::Transaction& transaction, Effects& effects, store::JobRecord& job, int64_t now_us,
         JobState state, const Status& status) {
  if (state == JobState::kFailed) {
    job.error = status.message();
    job.error_code = StatusCodeName(status.code());
  }
  if (!job.checkpoint.empty()) effects.released_checkpoints.push_back(job.checkpoint);
  job.checkpoint.clear();
  DropHandedIn(effects, job);
  job.lease = {};
  job.end_time_us = now_us;
  ChangeState(transaction, effects, job, now_us, state, status.message());
}

}  // namespace haq::server::jobs
