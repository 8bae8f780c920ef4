#include "server/worker/signals.h"

namespace haq::server::worker {

TerminationSignals::TerminationSignals() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGTERM);
  sigaddset(&signals_, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  thread_ = std::thread([this] {
    int signal_number = 0;
    sigwait(&signals_, &signal_number);
    source_.request_stop();
  });
}

TerminationSignals::~TerminationSignals() {
  // Ends the thread's wait when no signal came.
  if (!source_.stop_requested()) pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace haq::server::worker
