// ^C as a stop token, so that a command can end in order.
#pragma once

#include <signal.h>

#include <stop_token>
#include <thread>

namespace haq::client {

// While it lives, SIGINT and SIGTERM request a stop instead of ending the program; a second one
// ends it. One at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  ~InterruptGuard();

  std::stop_token token() const { return source_.get_token(); }
  bool interrupted() const { return source_.stop_requested(); }

 private:
  std::stop_source source_;
  std::thread thread_;
  struct sigaction old_int_ {
  }, old_term_{};
};

}  // namespace haq::client
