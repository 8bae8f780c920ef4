// When to try again: a server that is away or restarting is asked again with growing pauses.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>
#include <stop_token>

namespace haq::client {

// Pauses of 50 ms, doubled up to 2 s, each shortened by a random part so that many clients do not
// come back at the same moment. Not thread-safe.
class Backoff {
 public:
  explicit Backoff(int64_t budget_ms) : budget_ms_(budget_ms) { Reset(budget_ms); }

  // Sleeps, then true: try again. False, at once: the budget since the last Reset is spent, or stop
  // was requested (which also ends a sleep).
  bool Wait(const std::stop_token& stop = {});
  // The other side answered: the budget and the pauses begin anew.
  void Reset(int64_t budget_ms);
  void Reset() { Reset(budget_ms_); }

 private:
  using Clock = std::chrono::steady_clock;
  int64_t budget_ms_;
  Clock::time_point give_up_at_;
  int64_t pause_ms_ = 0;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace haq::client
