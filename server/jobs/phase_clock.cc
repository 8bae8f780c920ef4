#include "server/jobs/phase_clock.h"

#include <utility>

namespace haq::server::jobs {
namespace {

constexpr char kCalibrate[] = "calibrate";

double Seconds(int64_t from_us, int64_t to_us) {
  return to_us > from_us ? static_cast<double>(to_us - from_us) / 1e6 : 0;
}

}  // namespace

void PhaseClock::Enter(const Effects::Progress& progress) {
  if (listener_ == nullptr) return;
  Phase left;
  {
    const std::lock_guard lock(mutex_);
    Phase& phase = phases_[progress.job];
    if (phase.name != progress.phase) {
      left = std::exchange(phase, {progress.phase, progress.time_us});
    }
  }
  if (!left.name.empty()) {
    listener_->OnPhase(left.name, Seconds(left.since_us, progress.time_us));
  }
  const bool calibrates = progress.phase == kCalibrate;
  if (calibrates || left.name == kCalibrate) {
    listener_->OnCalibrationSpeed(JobName(progress.job),
                                  calibrates ? progress.images_per_second : 0);
  }
}

void PhaseClock::Leave(int64_t job, int64_t time_us) {
  if (listener_ == nullptr) return;
  Phase left;
  {
    const std::lock_guard lock(mutex_);
    const auto found = phases_.find(job);
    if (found == phases_.end()) return;
    left = std::move(found->second);
    phases_.erase(found);
  }
  listener_->OnPhase(left.name, Seconds(left.since_us, time_us));
  if (left.name == kCalibrate) listener_->OnCalibrationSpeed(JobName(job), 0);
}

}  // namespace haq::server::jobs
