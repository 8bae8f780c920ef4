#include "client/lib/retry.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

namespace haq::client {
namespace {

constexpr int64_t kFirstPauseMs = 50;
constexpr int64_t kLongestPauseMs = 2000;

}  // namespace

void Backoff::Reset(int64_t budget_ms) {
  budget_ms_ = budget_ms;
  give_up_at_ = Clock::now() + std::chrono::milliseconds(budget_ms);
  pause_ms_ = kFirstPauseMs;
}

bool Backoff::Wait(const std::stop_token& stop) {
  const auto now = Clock::now();
  if (stop.stop_requested() || now >= give_up_at_) return false;
  const int64_t pause = std::uniform_int_distribution<int64_t>(pause_ms_ / 2, pause_ms_)(random_);
  const auto wake_at = std::min(now + std::chrono::milliseconds(pause), give_up_at_);
  pause_ms_ = std::min(pause_ms_ * 2, kLongestPauseMs);
  std::mutex mutex;
  std::condition_variable_any condition;
  std::unique_lock lock(mutex);
  condition.wait_until(lock, stop, wake_at, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace haq::client
