// How long running jobs stay in their phases, told to the listener.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "server/jobs/listener.h"
#include "server/jobs/transitions.h"

namespace haq::server::jobs {

// Thread-safe.
class PhaseClock {
 public:
  // `listener` may be null.
  explicit PhaseClock(Listener* listener) : listener_(listener) {}

  // A running job is in that phase.
  void Enter(const Effects::Progress& progress);
  // It runs no more, or not any more under this attempt.
  void Leave(int64_t job, int64_t time_us);

 private:
  struct Phase {
    std::string name;
    int64_t since_us = 0;
  };

  Listener* const listener_;
  std::mutex mutex_;
  std::map<int64_t, Phase> phases_;  // of running jobs; guarded by mutex_
};

}  // namespace haq::server::jobs
