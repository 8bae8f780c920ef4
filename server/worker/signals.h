// SIGTERM and SIGINT as a stop token.
#pragma once

#include <signal.h>

#include <stop_token>
#include <thread>

namespace haq::server::worker {

// While it lives, SIGTERM and SIGINT request a stop. Made before any other thread starts, since
// threads inherit that the signals are blocked. One at a time.
class TerminationSignals {
 public:
  TerminationSignals();
  TerminationSignals(const TerminationSignals&) = delete;
  TerminationSignals& operator=(const TerminationSignals&) = delete;
  ~TerminationSignals();

  std::stop_token token() const { return source_.get_token(); }

 private:
  sigset_t signals_, before_;
  std::stop_source source_;
  std::thread thread_;
};

}  // namespace haq::server::worker
