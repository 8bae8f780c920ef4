#include "server/jobs/queue.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <system_error>

namespace haq::server::jobs {
namespace {

constexpr int64_t kQueueTopic = 0;

bool IsFinal(JobState state) {
  switch (state) {
    case JobState::kNone:
    case JobState::kQueued:
    case JobState::kRunning:
      return false;
    case JobState::kSucceeded:
    case JobState::kFailed:
    case JobState::kCancelled:
      return true;
  }
  return true;
}

}  // namespace

Queue::Queue(store::Metadata& metadata, store::BlobStore& blobs, std::filesystem::path checkpoints,
             const store::Clock& clock, const QueueOptions& options, Listener* listener)
    : metadata_(metadata),
      blobs_(blobs),
      checkpoints_(std::move(checkpoints)),
      clock_(clock),
      options_(options),
      listener_(listener),
      phases_(listener) {}

Status Queue::Recover() {
  HAQ_RETURN_IF_ERROR(ReleaseLocal("the server was restarted"));
  std::set<std::string> wanted;
  HAQ_RETURN_IF_ERROR(metadata_.Read([&](store::Transaction& transaction) -> Status {
    for (const JobState state : {JobState::kQueued, JobState::kRunning}) {
      for (const auto& job : transaction.ListJobs(state, 0, transaction.CountJobs(state))) {
        wanted.insert(job.checkpoint);
      }
    }
    return {};
  }));
  std::error_code error;
  std::vector<std::filesystem::path> stale;
  for (const auto& entry : std::filesystem::directory_iterator(checkpoints_, error)) {
    if (wanted.count(entry.path().filename().string()) == 0) stale.push_back(entry.path());
  }
  for (const auto& path : stale) std::filesystem::remove(path, error);
  return {};
}

void Queue::Close() {
  closed_.store(true);
  queued_.NotifyAll();
  events_.NotifyAll();
}

Status Queue::Transact(const Function& function) {
  Effects effects;
  HAQ_RETURN_IF_ERROR(metadata_.Write([&](store::Transaction& transaction) {
    effects = {};
    return function(transaction, effects);
  }));
  Publish(effects);
  Release(effects);
  return {};
}

void Queue::Publish(const Effects& effects) {
  bool queued = false;
  for (const Effects::Progress& progress : effects.progress) phases_.Enter(progress);
  for (const Effects::StateChange& change : effects.state_changes) {
    queued |= change.to == JobState::kQueued;
    if (IsFinal(change.to)) {
      const std::lock_guard lock(calibrated_mutex_);
      calibrated_.erase(change.job);
    }
    phases_.Leave(change.job, clock_.NowUs());
    if (listener_) listener_->OnStateChange(JobName(change.job), change.from, change.to);
  }
  if (listener_ && effects.calibration_images > 0) {
    listener_->OnCalibrationImages(effects.calibration_images);
  }
  for (const int64_t job : effects.jobs_with_events) events_.Notify(job);
  if (queued) queued_.Notify(kQueueTopic);
}

// Failures here only leave files behind, which the sweep at the next start removes.
void Queue::Release(const Effects& effects) {
  for (const std::string& checkpoint : effects.released_checkpoints) {
    std::error_code error;
    std::filesystem::remove(checkpoints_ / checkpoint, error);
  }
  if (effects.released_blobs.empty()) return;
  // Inside a write transaction: nothing can begin to refer to a blob between the look and the
  // removal.
  const Status status = metadata_.Write([&](store::Transaction& transaction) -> Status {
    for (const std::string& sha256 : effects.released_blobs) {
      if (!transaction.IsReferenced(sha256)) HAQ_RETURN_IF_ERROR(blobs_.Remove(sha256));
    }
    return {};
  });
  static_cast<void>(status);
}

Result<store::JobRecord> Queue::Submit(store::Transaction& transaction, Effects& effects,
                                       store::JobRecord job) {
  const int64_t queued = transaction.CountJobs(JobState::kQueued);
  if (queued >= options_.max_queued) {
    return ResourceExhausted("{} jobs are queued, which is the limit; wait until some are done",
                             queued);
  }
  return EnterQueue(transaction, effects, clock_.NowUs(), std::move(job));
}

void Queue::FailNow(store::Transaction& transaction, Effects& effects, store::JobRecord job,
                    const Status& reason) {
  End(transaction, effects, job, clock_.NowUs(), JobState::kFailed, reason);
}

Result<store::JobRecord> Queue::Cancel(int64_t number) {
  store::JobRecord result;
  HAQ_RETURN_IF_ERROR(Transact([&](store::Transaction& transaction, Effects& effects) -> Status {
    auto job = transaction.FindJob(number);
    if (!job) return NotFound("{} does not exist", JobName(number));
    if (IsFinal(job->state)) return FailedPrecondition("{} has ended already", JobName(number));
    const int64_t now_us = clock_.NowUs();
    if (job->state == JobState::kQueued) {
      job->cancel_requested = true;
      End(transaction, effects, *job, now_us, JobState::kCancelled,
          Cancelled("cancelled on request"));
    } else if (!job->cancel_requested) {
      job->cancel_requested = true;
      haq::v1::JobEvent event;
      event.mutable_log()->set_level("info");
      event.mutable_log()->set_message("cancellation was requested");
      AppendEvent(transaction, effects, *job, now_us, event);
      transaction.UpdateJob(*job);
    }
    result = *job;
    return {};
  }));
  return result;
}

Result<EventPage> Queue::Events(int64_t number, int64_t from_sequence, int64_t limit) {
  EventPage page;
  HAQ_RETURN_IF_ERROR(metadata_.Read([&](store::Transaction& transaction) -> Status {
    const auto job = transaction.FindJob(number);
    if (!job) return NotFound("{} does not exist", JobName(number));
    for (const auto& record : transaction.ListEvents(number, from_sequence, limit)) {
      if (!page.events.emplace_back().ParseFromString(record.payload)) {
        return DataLoss("event {} of {} is damaged", record.sequence, JobName(number));
      }
    }
    const int64_t last = page.events.empty() ? from_sequence - 1 : page.events.back().sequence();
    page.ended = IsFinal(job->state) && last >= job->last_sequence;
    return {};
  }));
  return page;
}

Subscription Queue::OnEvents(int64_t number, std::function<void()> callback) {
  return events_.Subscribe(number, std::move(callback));
}

Subscription Queue::OnQueued(std::function<void()> callback) {
  return queued_.Subscribe(kQueueTopic, std::move(callback));
}

}  // namespace haq::server::jobs
