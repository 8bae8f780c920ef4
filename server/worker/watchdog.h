// Notices work that does not come to an end.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

#include "core/base/cancellation.h"

namespace haq::server::worker {

struct WatchdogLimits {
  int64_t stall_ms = 0;   // without Touch(); 0 is no limit
  int64_t cancel_ms = 0;  // from the cancellation to the end; 0 is no limit
};

// Calls `on_stall`, once and on a thread of its own, when one of the limits was passed.
// Thread-safe.
class Watchdog {
 public:
  Watchdog(WatchdogLimits limits, CancellationToken cancellation, std::function<void()> on_stall);
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog();  // waits for a call of on_stall that is under way

  // The work moved on.
  void Touch();

 private:
  using Clock = std::chrono::steady_clock;
  void Run();

  const WatchdogLimits limits_;
  const CancellationToken cancellation_;
  const std::function<void()> on_stall_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;           // guarded by mutex_
  Clock::time_point moved_at_;  // guarded by mutex_

  std::thread thread_;
};

}  // namespace haq::server::worker
