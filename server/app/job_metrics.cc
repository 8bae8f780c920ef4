#include "server/app/job_metrics.h"

#include <fmt/format.h>

#include "server/log/fields.h"

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

void JobMetrics::OnStateChange(const std::string& job, jobs::JobState from, jobs::JobState to) {
  log::Write(to == jobs::JobState::kFailed ? spdlog::level::warn : spdlog::level::info,
             {{"job", job}}, fmt::format("job is {}", LabelOf(to)));
  metrics_.MoveJob(LabelOf(from), LabelOf(to));
}

void JobMetrics::OnCalibrationImages(int64_t images) { metrics_.AddCalibrationImages(images); }

void JobMetrics::OnCalibrationSpeed(const std::string& job, double images_per_second) {
  const std::lock_guard lock(mutex_);
  if (images_per_second > 0) {
    speeds_[job] = images_per_second;
  } else {
    speeds_.erase(job);
  }
  double sum = 0;
  for (const auto& [name, speed] : speeds_) sum += speed;
  metrics_.SetCalibrationSpeed(sum);
}

void JobMetrics::OnPhase(const std::string& phase, double seconds) {
  metrics_.ObserveJobPhase(phase, seconds);
}

void JobMetrics::OnWorkerRestart(bool crashed) { metrics_.CountWorkerRestart(crashed); }

void FigureMetrics::OnVersionRegistered(const std::string& model_id, int64_t version,
                                        const std::filesystem::path& path) {
  next_.OnVersionRegistered(model_id, version, path);
}

void FigureMetrics::OnFigures(const std::string& model_id, const api::ServedFigures& figures) {
  metrics_.SetServedFigures(model_id, {.version = figures.version,
                                       .fp32_top1 = figures.fp32_top1,
                                       .int8_top1 = figures.int8_top1,
                                       .agreement = figures.agreement,
                                       .sqnr_db = figures.sqnr_db});
  next_.OnFigures(model_id, figures);
}

void FigureMetrics::OnModelDeleted(const std::string& model_id) {
  metrics_.RemoveServedFigures(model_id);
  next_.OnModelDeleted(model_id);
}

}  // namespace haq::server::app
