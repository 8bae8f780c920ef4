#include "server/app/job_metrics.h"

namespace haq::server::app {
namespace {

std::string_view LabelOf(jobs::JobState state) {
  switch (state) {
    case jobs::JobState::kNone:
      return "";
    case jobs::JobState::kQueued:
      return "queued";
    case jobs::JobState::kRunning:
      return "running";
    case jobs::JobState::kSucceeded:
      return "succeeded";
    case jobs::JobState::kFailed:
      return "failed";
    case jobs::JobState::kCancelled:
      return "cancelled";
  }
  return "";
}

}  // namespace

Status JobMetrics::Count(jobs::Queue& queue) {
  return queue.Transact([this](store::Transaction& transaction, jobs::Effects&) {
    for (const auto state :
         {jobs::JobState::kQueued, jobs::JobState::kRunning, jobs::JobState::kSucceeded,
          jobs::JobState::kFailed, jobs::JobState::kCancelled}) {
      metrics_.SetJobs(LabelOf(state), transaction.CountJobs(state));
    }
    return Status();
  });
}

void JobMetrics::OnStateChange(const std::string&, jobs::JobState from, jobs::JobState to) {
  metrics_.MoveJob(LabelOf(from), LabelOf(to));
}

void JobMetrics::OnCalibrationImages(int64_t images) { metrics_.AddCalibrationImages(images); }

}  // namespace haq::server::app
