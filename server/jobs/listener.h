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
  // Calibration goes at that speed, as the worker says; 0 when the job does something else.
  virtual void OnCalibrationSpeed(const std::string& job, double images_per_second) = 0;
  // A running job was in `phase` (a name of the worker's) for that long, from its first progress
  // event to that of the next phase or the end of the attempt.
  virtual void OnPhase(const std::string& phase, double seconds) = 0;
  // A worker process of this server ended by itself and is started again.
  virtual void OnWorkerRestart(bool crashed) = 0;
};

}  // namespace haq::server::jobs
