// What metrics see of the jobs.
#pragma once

#include <cstdint>
#include <string>

namespace haq::server::jobs {

// The numbers are those of haq.v1.JobState and of the rows in the store.
enum class JobState : int {
  kNone = 0,       // as `from`: the job is new
  kQueued = 1,     // waits for a worker
  kRunning = 2,    // a worker holds its lease
  kSucceeded = 3,  // its artifact is registered
  kFailed = 4,     // `error` says why
  kCancelled = 5,  // somebody asked for it
};

// Called after the change is stored, from the thread that made it; cheap, and must not call back
// into the queue.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual void OnStateChange(const std::string& job, JobState from, JobState to) = 0;
  // `images` more were calibrated, as progress events of the phase "calibrate" tell.
  virtual void OnCalibrationImages(int64_t images) = 0;
};

}  // namespace haq::server::jobs
