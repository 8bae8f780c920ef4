// What metrics see of the jobs.
#pragma once

#include <cstdint>
#include <string>

#include "server/store/records.h"

namespace haq::server::jobs {

using store::JobState;

// Called after the change is stored, from the thread that made it; cheap, and must not call back
// into the queue.
class Listener {
 public:
  virtual ~Listener() = default;
  // `job` is "jobs/{id}"; a new job comes from JobState::kNone.
  virtual void OnStateChange(const std::string& job, JobState from, JobState to) = 0;
  // `images` more were calibrated, as progress events of the phase "calibrate" tell.
  virtual void OnCalibrationImages(int64_t images) = 0;
};

}  // namespace haq::server::jobs
