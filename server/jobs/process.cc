#include "server/jobs/process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "server/store/descriptor.h"

namespace haq::server::jobs {
namespace {

struct Command {
  const char* program;
  char* const* arguments;
  char* const* environment;
  pid_t parent;
  int failure_pipe;
};

// Runs between fork and exec of a program with threads: async-signal-safe calls only.
[[noreturn]] void RunChild(const Command& command) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died before the line above.
  if (::getppid() != command.parent) ::_exit(127);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  const int null = ::open("/dev/null", O_RDONLY);
  if (null >= 0) ::dup2(null, STDIN_FILENO);
  // Libraries open descriptors without asking us: none of them may reach the worker.
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  ::execve(command.program, command.arguments, command.environment);
  const int error = errno;
  static_cast<void>(!::write(command.failure_pipe, &error, sizeof(error)));
  ::_exit(127);
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Result<int> StartProcess(const std::filesystem::path& program,
                         const std::vector<std::string>& arguments,
                         const std::vector<std::string>& environment) {
  std::vector<std::string> all_arguments{program.string()};
  all_arguments.insert(all_arguments.end(), arguments.begin(), arguments.end());
  std::vector<std::string> all_environment = environment;
  for (char** variable = ::environ; *variable != nullptr; ++variable) {
    all_environment.emplace_back(*variable);
  }
  const std::vector<char*> argv = Pointers(all_arguments);
  const std::vector<char*> envp = Pointers(all_environment);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return store::SystemError(program, "start");
  const store::Descriptor read_end(ends[0]);
  store::Descriptor write_end(ends[1]);
  const Command command{program.c_str(), argv.data(), envp.data(), ::getpid(), write_end.get()};
  const pid_t pid = ::fork();
  if (pid < 0) return store::SystemError(program, "start");
  if (pid == 0) RunChild(command);
  // Both sides set the group, so that it exists whoever runs first.
  ::setpgid(pid, pid);
  write_end = store::Descriptor();
  int error = 0;
  ssize_t got;
  do {
    got = ::read(read_end.get(), &error, sizeof(error));
  } while (got < 0 && errno == EINTR);
  if (got != sizeof(error)) return static_cast<int>(pid);
  ::waitpid(pid, nullptr, 0);
  errno = error;
  return store::SystemError(program, "start");
}

}  // namespace haq::server::jobs
