#include "client/cli/interrupt.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace haq::client {
namespace {

// A signal handler may do little more than write; the thread at the other end does the rest.
int g_pipe[2] = {-1, -1};

void OnSignal(int signal_number) {
  const int saved = errno;
  const char byte = 'i';
  [[maybe_unused]] const ssize_t ignored = ::write(g_pipe[1], &byte, 1);
  ::signal(signal_number, SIG_DFL);
  errno = saved;
}

}  // namespace

InterruptGuard::InterruptGuard() {
  if (::pipe2(g_pipe, O_CLOEXEC) != 0) return;  // without a pipe ^C ends the program as before
  thread_ = std::thread([this] {
    char byte = 0;
    while (::read(g_pipe[0], &byte, 1) < 0 && errno == EINTR) {
    }
    if (byte == 'i') source_.request_stop();
  });
  struct sigaction action {};
  action.sa_handler = OnSignal;
  ::sigaction(SIGINT, &action, &old_int_);
  ::sigaction(SIGTERM, &action, &old_term_);
}

InterruptGuard::~InterruptGuard() {
  if (!thread_.joinable()) return;
  ::sigaction(SIGINT, &old_int_, nullptr);
  ::sigaction(SIGTERM, &old_term_, nullptr);
  const char byte = 'q';
  [[maybe_unused]] const ssize_t ignored = ::write(g_pipe[1], &byte, 1);
  thread_.join();
  ::close(g_pipe[0]);
  ::close(g_pipe[1]);
}

}  // namespace haq::client
