#include "client/comparison/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

extern char** environ;

namespace haq::comparison {
namespace {

constexpr size_t kLastErrors = 20;
constexpr size_t kMaxErrorLine = 4096;
constexpr int kPollMs = 100;

class Pipe {
 public:
  Pipe() { open_ = ::pipe2(ends_.data(), O_CLOEXEC) == 0; }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    CloseWriter();
    CloseReader();
  }
  bool open() const { return open_; }
  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  void CloseReader() { Close(ends_[0]); }
  void CloseWriter() { Close(ends_[1]); }

 private:
  static void Close(int& fd) {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
  std::array<int, 2> ends_{-1, -1};
  bool open_ = false;
};

Result<pid_t> Spawn(const std::vector<std::string>& arguments, const Pipe& output,
                    const Pipe& errors) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output.writer(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors.writer(), STDERR_FILENO);
  // A group of its own: ^C is for this program, which then ends the child.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  posix_spawnattr_setpgroup(&attributes, 0);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error == 0) return pid;
  if (error == ENOENT) return NotFound("there is no program {}", arguments[0]);
  return FailedPrecondition("cannot run {}: {}", arguments[0], std::strerror(error));
}

// What comes out of a running process.
class Collector {
 public:
  Collector(Pipe& output, Pipe& errors, const std::function<bool(std::string_view)>& on_error_line)
      : output_(output), errors_(errors), on_error_line_(on_error_line) {}

  // Until both ends are closed.
  Status Run(const std::stop_token& stop) {
    while (output_.reader() >= 0 || errors_.reader() >= 0) {
      if (stop.stop_requested()) return Cancelled("stopped");
      std::array<pollfd, 2> ends{{{output_.reader(), POLLIN, 0}, {errors_.reader(), POLLIN, 0}}};
      if (::poll(ends.data(), ends.size(), kPollMs) < 0 && errno != EINTR) {
        return InternalError("poll: {}", std::strerror(errno));
      }
      if (ends[0].revents != 0) Read(output_, [this](auto bytes) { outcome_.output += bytes; });
      if (ends[1].revents != 0) Read(errors_, [this](auto bytes) { TakeErrors(bytes); });
      if (static_cast<int64_t>(outcome_.output.size()) > kMaxProcessOutputBytes) {
        return ResourceExhausted("the program printed more than {} bytes", kMaxProcessOutputBytes);
      }
    }
    if (!line_.empty()) TakeErrors("\n");
    return {};
  }

  ProcessOutcome& outcome() { return outcome_; }

 private:
  template <typename Take>
  static void Read(Pipe& pipe, const Take& take) {
    std::array<char, 65536> buffer;
    const ssize_t got = ::read(pipe.reader(), buffer.data(), buffer.size());
    if (got > 0) {
      take(std::string_view(buffer.data(), static_cast<size_t>(got)));
    } else if (got == 0 || errno != EINTR) {
      pipe.CloseReader();
    }
  }

  void TakeErrors(std::string_view bytes) {
    for (const char c : bytes) {
      if (c != '\n') {
        if (line_.size() < kMaxErrorLine) line_ += c;
        continue;
      }
      if (!on_error_line_(line_)) outcome_.last_errors.push_back(line_);
      if (outcome_.last_errors.size() > kLastErrors) {
        outcome_.last_errors.erase(outcome_.last_errors.begin());
      }
      line_.clear();
    }
  }

  Pipe& output_;
  Pipe& errors_;
  const std::function<bool(std::string_view)>& on_error_line_;
  std::string line_;
  ProcessOutcome outcome_;
};

int Wait(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

Result<ProcessOutcome> RunProcess(const std::vector<std::string>& arguments,
                                  const std::function<bool(std::string_view)>& on_error_line,
                                  const std::stop_token& stop) {
  Pipe output, errors;
  if (!output.open() || !errors.open()) {
    return ResourceExhausted("cannot make a pipe: {}", std::strerror(errno));
  }
  HAQ_ASSIGN_OR_RETURN(const pid_t pid, Spawn(arguments, output, errors));
  output.CloseWriter();
  errors.CloseWriter();
  Collector collector(output, errors, on_error_line);
  const Status status = collector.Run(stop);
  if (!status.ok()) ::kill(-pid, SIGKILL);
  collector.outcome().exit_code = Wait(pid);
  if (!status.ok()) return status;
  return std::move(collector.outcome());
}

}  // namespace haq::comparison
