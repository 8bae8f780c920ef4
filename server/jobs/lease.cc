// What workers do with the queue, and what happens when they stop doing it.
#include <sys/random.h>

#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/file.h"
#include "core/base/sha256.h"
#include "server/jobs/queue.h"

namespace haq::server::jobs {
namespace {

Result<std::string> MakeToken() {
  Sha256Digest random;
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) {
    return InternalError("cannot make a lease: {}", std::strerror(errno));
  }
  return ToHex(random);
}

// "calibrate, 120 of 1000 done"
std::string DescribeProgress(const store::JobRecord& job) {
  haq::v1::Progress progress;
  if (job.progress.empty() || !progress.ParseFromString(job.progress)) return "starting";
  if (progress.total() == 0) return progress.phase();
  return fmt::format("{} ({} of {} done)", progress.phase(), progress.done(), progress.total());
}

}  // namespace

std::string ProcessExit::Describe() const {
  if (!limit.empty()) return "was ended by " + limit;
  if (signal == 0) return fmt::format("exited with code {}", code);
  return fmt::format("{} (signal {}, {})", Crashed() ? "crashed" : "was killed", signal,
                     ::strsignal(signal));
}

bool ProcessExit::Crashed() const {
  return signal == SIGABRT || signal == SIGSEGV || signal == SIGBUS || signal == SIGILL ||
         signal == SIGFPE;
}

Result<store::JobRecord> Queue::FindLeased(store::Transaction& transaction,
                                           const Lease& lease) const {
  auto job = transaction.FindJob(lease.job);
  if (!job) return NotFound("{} does not exist", JobName(lease.job));
  if (job->state != JobState::kRunning || lease.token.empty() || job->lease.token != lease.token ||
      job->lease.expire_time_us <= clock_.NowUs()) {
    return FailedPrecondition(
        "{}: the lease is over: it expired, or the job ended or was given away",
        JobName(lease.job));
  }
  return *std::move(job);
}

Result<std::optional<LeasedJob>> Queue::Acquire(const std::string& worker, bool local) {
  if (closed()) return Unavailable("the server is shutting down");
  LeasedJob leased;
  bool found = false;
  HAQ_ASSIGN_OR_RETURN(const std::string token, MakeToken());
  HAQ_RETURN_IF_ERROR(Transact([&](store::Transaction& transaction, Effects& effects) -> Status {
    while (auto job = transaction.NextQueuedJob()) {
      const int64_t now_us = clock_.NowUs();
      leased.job = *job;
      if (const Status status = ReadInputs(transaction, leased); !status.ok()) {
        // Cannot happen as long as the store is whole; must not block those that wait behind it.
        End(transaction, effects, *job, now_us, JobState::kFailed, status);
        continue;
      }
      Start(transaction, effects, *job, now_us,
            {token, worker, local, now_us + options_.lease_ms * 1000});
      leased.lease = {job->number, token};
      leased.job = *job;
      found = true;
      break;
    }
    return {};
  }));
  if (!found) return std::optional<LeasedJob>();
  LoadCheckpoint(leased);
  return std::optional<LeasedJob>(std::move(leased));
}

Status Queue::ReadInputs(store::Transaction& transaction, LeasedJob& leased) const {
  const auto model = transaction.FindModel(leased.job.model_id);
  const auto calibration = transaction.FindDataset(leased.job.calibration_dataset);
  const auto evaluation = transaction.FindDataset(leased.job.evaluation_dataset);
  if (!model || !calibration || !evaluation) {
    return InternalError("{} waits, but its model or dataset is gone", JobName(leased.job.number));
  }
  leased.model = *model;
  leased.calibration_shards = calibration->shards;
  leased.evaluation_shards = evaluation->shards;
  return {};
}

// A checkpoint saves time only: without it the job starts from the beginning.
void Queue::LoadCheckpoint(LeasedJob& leased) const {
  if (leased.job.checkpoint.empty()) return;
  auto bytes = ReadTextFile(checkpoints_ / leased.job.checkpoint, options_.max_checkpoint_bytes);
  if (bytes.ok()) leased.checkpoint = *std::move(bytes);
}

Status Queue::GiveBack(const Lease& lease) {
  return Transact([&](store::Transaction& transaction, Effects& effects) -> Status {
    HAQ_ASSIGN_OR_RETURN(store::JobRecord job, FindLeased(transaction, lease));
    Requeue(transaction, effects, job, clock_.NowUs(), "the worker went away before it had the job",
            false, options_.max_attempts);
    return {};
  });
}

Result<store::JobRecord> Queue::Extend(const Lease& lease) {
  store::JobRecord result;
  HAQ_RETURN_IF_ERROR(Transact([&](store::Transaction& transaction, Effects&) -> Status {
    HAQ_ASSIGN_OR_RETURN(result, FindLeased(transaction, lease));
    result.lease.expire_time_us = clock_.NowUs() + options_.lease_ms * 1000;
    transaction.UpdateJob(result);
    return {};
  }));
  return result;
}

Status Queue::CheckMayRead(const Lease& lease, const std::string& sha256) {
  LeasedJob leased;
  HAQ_RETURN_IF_ERROR(metadata_.Read([&](store::Transaction& transaction) -> Status {
    HAQ_ASSIGN_OR_RETURN(leased.job, FindLeased(transaction, lease));
    return ReadInputs(transaction, leased);
  }));
  if (leased.model.sha256 == sha256) return {};
  for (const auto* shards : {&leased.calibration_shards, &leased.evaluation_shards}) {
    for (const store::ShardRecord& shard : *shards) {
      if (shard.sha256 == sha256) return {};
    }
  }
  return NotFound("sha256: {} does not refer to a blob {}", JobName(lease.job), sha256);
}

Status Queue::CheckEvents(const store::JobRecord& job,
                          const std::vector<haq::v1::JobEvent>& events) const {
  const auto count = static_cast<int64_t>(events.size());
  if (count > options_.max_events_per_report) {
    return ResourceExhausted("events: {} in one call, at most {} are allowed", count,
                             options_.max_events_per_report);
  }
  if (job.last_sequence + count > options_.max_events_per_job) {
    return ResourceExhausted("events: {} would have more than {} events", JobName(job.number),
                             options_.max_events_per_job);
  }
  for (int64_t i = 0; i < count; ++i) {
    const auto& event = events[i];
    const std::string field = fmt::format("events[{}]", i);
    if (!event.has_progress() && !event.has_accuracy() && !event.has_log()) {
      return InvalidField(field, "must be progress, accuracy or log");
    }
    if (static_cast<int64_t>(event.ByteSizeLong()) > options_.max_event_bytes) {
      return ResourceExhausted("{}: {} bytes, at most {} are allowed", field, event.ByteSizeLong(),
                               options_.max_event_bytes);
    }
    if (event.has_progress() && (event.progress().done() < 0 || event.progress().total() < 0)) {
      return InvalidField(field + ".progress", "counts must not be negative");
    }
  }
  return {};
}

// Counts every image of a job once, also when a later attempt does it again.
void Queue::CountImages(Effects& effects, int64_t job, int64_t done) {
  const std::lock_guard lock(calibrated_mutex_);
  int64_t& counted = calibrated_[job];
  effects.calibration_images += std::max<int64_t>(0, done - counted);
  counted = std::max(counted, done);
}

void Queue::ApplyEvent(Effects& effects, store::JobRecord& job, int64_t now_us,
                       const haq::v1::JobEvent& event) {
  if (event.has_progress()) {
    job.progress = event.progress().SerializeAsString();
    effects.progress.push_back(
        {job.number, now_us, event.progress().phase(), event.progress().images_per_second()});
    if (event.progress().phase() == "calibrate") {
      CountImages(effects, job.number, event.progress().done());
    }
  }
  if (event.has_accuracy()) job.accuracy = event.accuracy().SerializeAsString();
}

Result<bool> Queue::Report(const Lease& lease, const std::vector<haq::v1::JobEvent>& events) {
  bool cancel_requested = false;
  HAQ_RETURN_IF_ERROR(Transact([&](store::Transaction& transaction, Effects& effects) -> Status {
    HAQ_ASSIGN_OR_RETURN(store::JobRecord job, FindLeased(transaction, lease));
    HAQ_RETURN_IF_ERROR(CheckEvents(job, events));
    const int64_t now_us = clock_.NowUs();
    for (const haq::v1::JobEvent& event : events) {
      ApplyEvent(effects, job, now_us, event);
      AppendEvent(transaction, effects, job, now_us, event);
    }
    job.lease.expire_time_us = now_us + options_.lease_ms * 1000;
    transaction.UpdateJob(job);
    cancel_requested = job.cancel_requested;
    return {};
  }));
  return cancel_requested;
}

Status Queue::SaveCheckpoint(const Lease& lease, std::span<const uint8_t> checkpoint) {
  if (static_cast<int64_t>(checkpoint.size()) > options_.max_checkpoint_bytes) {
    return ResourceExhausted("checkpoint: {} bytes, at most {} are allowed", checkpoint.size(),
                             options_.max_checkpoint_bytes);
  }
  HAQ_ASSIGN_OR_RETURN(const store::JobRecord leased, Extend(lease));
  // A new file every time: the row names the one that counts, so that neither a crash between the
  // two writes nor a worker that lost its lease can spoil the checkpoint in use.
  const std::string name = fmt::format("{}-{}-{}-{}", lease.job, leased.attempt,
                                       lease.token.substr(0, 8), checkpoint_counter_.fetch_add(1));
  HAQ_RETURN_IF_ERROR(WriteFileDurably(checkpoints_ / name, checkpoint));
  const Status status = Transact([&](store::Transaction& transaction, Effects& effects) -> Status {
    HAQ_ASSIGN_OR_RETURN(store::JobRecord job, FindLeased(transaction, lease));
    if (!job.checkpoint.empty()) effects.released_checkpoints.push_back(job.checkpoint);
    job.checkpoint = name;
    job.lease.expire_time_us = clock_.NowUs() + options_.lease_ms * 1000;
    transaction.UpdateJob(job);
    return {};
  });
  if (!status.ok()) {
    std::error_code error;
    std::filesystem::remove(checkpoints_ / name, error);
  }
  return status;
}

Status Queue::HandIn(const Lease& lease, const std::string& sha256, int64_t size_bytes) {
  return Transact([&](store::Transaction& transaction, Effects& effects) -> Status {
    HAQ_ASSIGN_OR_RETURN(store::JobRecord job, FindLeased(transaction, lease));
    if (!blobs_.Find(sha256)) return InternalError("the artifact {} is not stored", sha256);
    if (!job.handed_in_sha256.empty()) effects.released_blobs.push_back(job.handed_in_sha256);
    job.handed_in_sha256 = sha256;
    job.handed_in_size_bytes = size_bytes;
    job.lease.expire_time_us = clock_.NowUs() + options_.lease_ms * 1000;
    transaction.UpdateJob(job);
    return {};
  });
}

Result<store::ArtifactRecord> Queue::Complete(const Lease& lease,
                                              const std::string& artifact_sha256,
                                              const std::string& report_json, bool serve,
                                              const std::string& reason) {
  if (static_cast<int64_t>(report_json.size()) > options_.max_report_bytes) {
    return ResourceExhausted("report_json: {} bytes, at most {} are allowed", report_json.size(),
                             options_.max_report_bytes);
  }
  if (!nlohmann::json::accept(report_json)) return InvalidField("report_json", "is not JSON");
  store::ArtifactRecord artifact;
  HAQ_RETURN_IF_ERROR(Transact([&](store::Transaction& transaction, Effects& effects) -> Status {
    HAQ_ASSIGN_OR_RETURN(store::JobRecord job, FindLeased(transaction, lease));
    if (artifact_sha256.empty() || artifact_sha256 != job.handed_in_sha256) {
      return FailedPrecondition("artifact_sha256: {} has not handed in an artifact '{}'",
                                JobName(job.number), artifact_sha256.substr(0, 80));
    }
    const auto model = transaction.FindModel(job.model_id);
    if (!model) return InternalError("the model of {} is gone", JobName(job.number));
    const int64_t now_us = clock_.NowUs();
    artifact = {job.model_id,    model->last_version + 1,  job.number,
                artifact_sha256, job.handed_in_size_bytes, now_us};
    transaction.InsertArtifact(artifact);
    transaction.SetVersions(job.model_id, artifact.version,
                            serve ? artifact.version : model->served_version);
    if (!serve) {
      haq::v1::JobEvent event;
      event.mutable_log()->set_level("warning");
      event.mutable_log()->set_message(
          fmt::format("version {} is not served: {}", artifact.version, reason));
      AppendEvent(transaction, effects, job, now_us, event);
    }
    transaction.InsertReport(job.number, report_json);
    job.artifact_version = artifact.version;
    job.handed_in_sha256.clear();
    End(transaction, effects, job, now_us, JobState::kSucceeded, {});
    return {};
  }));
  return artifact;
}

Status Queue::Fail(const Lease& lease, const Status& reason, bool retry) {
  return Transact([&](store::Transaction& transaction, Effects& effects) -> Status {
    HAQ_ASSIGN_OR_RETURN(store::JobRecord job, FindLeased(transaction, lease));
    const int64_t now_us = clock_.NowUs();
    if (job.cancel_requested) {
      End(transaction, effects, job, now_us, JobState::kCancelled,
          Cancelled("cancelled on request"));
    } else if (retry) {
      Requeue(transaction, effects, job, now_us, reason.message(), true, options_.max_attempts);
    } else {
      End(transaction, effects, job, now_us, JobState::kFailed, reason);
    }
    return {};
  });
}

Status Queue::ReleaseRunning(
    const std::function<bool(const store::JobRecord&)>& matches,
    const std::function<void(store::Transaction&, Effects&, store::JobRecord&)>& release) {
  return Transact([&](store::Transaction& transaction, Effects& effects) -> Status {
    for (store::JobRecord& job : transaction.RunningJobs()) {
      if (matches(job)) release(transaction, effects, job);
    }
    return {};
  });
}

Status Queue::ReleaseWorker(const std::string& worker, const ProcessExit& exit, bool only_one) {
  return ReleaseRunning(
      [&](const store::JobRecord& job) {
        return job.lease.worker == worker || (only_one && job.lease.local);
      },
      [&](store::Transaction& transaction, Effects& effects, store::JobRecord& job) {
        const std::string what = fmt::format("the worker {} while it was at: {}", exit.Describe(),
                                             DescribeProgress(job));
        if (!exit.limit.empty() && !job.cancel_requested) {
          End(transaction, effects, job, clock_.NowUs(), JobState::kFailed,
              ResourceExhausted("{}", what));
        } else if (exit.Crashed() && !job.cancel_requested) {
          End(transaction, effects, job, clock_.NowUs(), JobState::kFailed,
              InternalError("{}", what));
        } else {
          Requeue(transaction, effects, job, clock_.NowUs(), what, true, options_.max_attempts);
        }
      });
}

Status Queue::ReleaseLocal(const std::string& reason) {
  return ReleaseRunning(
      [](const store::JobRecord& job) { return job.lease.local; },
      [&](store::Transaction& transaction, Effects& effects, store::JobRecord& job) {
        Requeue(transaction, effects, job, clock_.NowUs(), reason, false, options_.max_attempts);
      });
}

// Called by one thread at a time.
bool Queue::IsOverdue(const store::JobRecord& job, int64_t now_us) {
  if (options_.max_job_seconds <= 0) return false;
  const std::lock_guard lock(attempts_mutex_);
  Attempt& attempt = attempts_[job.number];
  if (attempt.number != job.attempt) attempt = {job.attempt, now_us};
  return now_us - attempt.start_us > options_.max_job_seconds * 1'000'000;
}

Result<std::vector<std::string>> Queue::ExpireLeases() {
  const int64_t now_us = clock_.NowUs();
  const auto expired = [&](const store::JobRecord& job) {
    return job.lease.expire_time_us <= now_us;
  };
  // Looked at first without writing: this runs every second.
  std::set<int64_t> running, overdue;
  bool any = false;
  HAQ_RETURN_IF_ERROR(metadata_.Read([&](store::Transaction& transaction) -> Status {
    for (const store::JobRecord& job : transaction.RunningJobs()) {
      running.insert(job.number);
      if (IsOverdue(job, now_us)) overdue.insert(job.number);
      any |= expired(job);
    }
    return {};
  }));
  {
    const std::lock_guard lock(attempts_mutex_);
    std::erase_if(attempts_, [&](const auto& entry) { return running.count(entry.first) == 0; });
  }
  std::vector<std::string> workers;
  if (!any && overdue.empty()) return workers;
  HAQ_RETURN_IF_ERROR(ReleaseRunning(
      [&](const store::JobRecord& job) { return expired(job) || overdue.count(job.number) != 0; },
      [&](store::Transaction& transaction, Effects& effects, store::JobRecord& job) {
        if (job.lease.local) workers.push_back(job.lease.worker);
        if (overdue.count(job.number) != 0 && !job.cancel_requested) {
          return End(transaction, effects, job, now_us, JobState::kFailed,
                     Status(StatusCode::kDeadlineExceeded,
                            fmt::format("it ran for more than {} s (--max-job-seconds), and was "
                                        "at: {}",
                                        options_.max_job_seconds, DescribeProgress(job))));
        }
        const std::string reason =
            fmt::format("the lease expired: worker {} was silent for {} ms, while it was at: {}",
                        job.lease.worker, options_.lease_ms, DescribeProgress(job));
        Requeue(transaction, effects, job, now_us, reason, true, options_.max_attempts);
      }));
  return workers;
}

}  // namespace haq::server::jobs
