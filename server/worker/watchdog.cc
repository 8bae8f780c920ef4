#include "server/worker/watchdog.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace haq::server::worker {
namespace {

using std::chrono::milliseconds;

// How late a stall may be noticed.
milliseconds PollOf(const WatchdogLimits& limits) {
  int64_t poll_ms = 1000;
  for (const int64_t limit_ms : {limits.stall_ms, limits.cancel_ms}) {
    if (limit_ms > 0) poll_ms = std::min(poll_ms, std::max<int64_t>(1, limit_ms / 4));
  }
  return milliseconds(poll_ms);
}

}  // namespace

Watchdog::Watchdog(WatchdogLimits limits, CancellationToken cancellation,
                   std::function<void()> on_stall)
    : limits_(limits),
      cancellation_(std::move(cancellation)),
      on_stall_(std::move(on_stall)),
      moved_at_(Clock::now()),
      thread_([this] { Run(); }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void Watchdog::Touch() {
  const std::lock_guard lock(mutex_);
  moved_at_ = Clock::now();
}

void Watchdog::Run() {
  const milliseconds poll = PollOf(limits_);
  std::optional<Clock::time_point> cancelled_at;
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, poll, [this] { return stop_; })) {
    const auto now = Clock::now();
    if (cancellation_.cancelled() && !cancelled_at) cancelled_at = now;
    const bool stalled = limits_.stall_ms > 0 && now - moved_at_ > milliseconds(limits_.stall_ms);
    const bool deaf = limits_.cancel_ms > 0 && cancelled_at &&
                      now - *cancelled_at > milliseconds(limits_.cancel_ms);
    if (!stalled && !deaf) continue;
    lock.unlock();
    on_stall_();
    return;
  }
}

}  // namespace haq::server::worker
