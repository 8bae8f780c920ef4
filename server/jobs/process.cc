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
  const char* folder;  // empty: stays
  int program_file;    // O_PATH
  const sandbox::Plan* plan;
};

// What a child that cannot become the program writes to its parent.
struct Failure {
  int error = 0;
  bool isolated = true;  // false: `report` says what was refused
  sandbox::Report report;
};

[[noreturn]] void Fail(const Command& command, const Failure& failure) {
  static_cast<void>(!::write(command.failure_pipe, &failure, sizeof(failure)));
  ::_exit(127);
}

// Runs between fork and exec of a program with threads: async-signal-safe calls only.
[[noreturn]] void RunChild(const Command& command) {
  ::setpgid(0, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  const int null = ::open("/dev/null", O_RDONLY);
  if (null >= 0) ::dup2(null, STDIN_FILENO);
  // Libraries open descriptors without asking us: none of them may reach the worker.
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  // Before the user changes, who may not pass through the folders above.
  if (*command.folder != '\0' && ::chdir(command.folder) != 0) Fail(command, {errno, true, {}});
  if (command.plan != nullptr) {
    const sandbox::Report report = command.plan->PutOn();
    if (command.plan->mode() == sandbox::Mode::kRequire && !report.Complete()) {
      Fail(command, {0, false, report});
    }
  }
  // After the user changed, for that takes it back. The parent may have died before.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != command.parent) ::_exit(127);
  ::execve(command.program, command.arguments, command.environment);
  // The folders above the program may be closed to the worker's user, too.
  if (errno == EACCES) {
    ::execveat(command.program_file, "", command.arguments, command.environment, AT_EMPTY_PATH);
  }
  Fail(command, {errno, true, {}});
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> EnvironmentOf(const ProcessOptions& options) {
  std::vector<std::string> environment = options.environment;
  if (options.plan != nullptr) {
    for (std::string& variable : sandbox::WorkerEnvironment()) {
      environment.push_back(std::move(variable));
    }
    return environment;
  }
  for (char** variable = ::environ; *variable != nullptr; ++variable) {
    environment.emplace_back(*variable);
  }
  return environment;
}

}  // namespace

Result<int> StartProcess(const ProcessOptions& options) {
  const std::filesystem::path& program = options.program;
  std::vector<std::string> all_arguments{program.string()};
  all_arguments.insert(all_arguments.end(), options.arguments.begin(), options.arguments.end());
  const std::vector<std::string> environment = EnvironmentOf(options);
  const std::vector<char*> argv = Pointers(all_arguments);
  const std::vector<char*> envp = Pointers(environment);
  const store::Descriptor program_file(::open(program.c_str(), O_PATH | O_CLOEXEC));
  if (!program_file.valid()) return store::SystemError(program, "start");
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return store::SystemError(program, "start");
  const store::Descriptor read_end(ends[0]);
  store::Descriptor write_end(ends[1]);
  const Command command{program.c_str(),    argv.data(),     envp.data(),
                        ::getpid(),         write_end.get(), options.folder.c_str(),
                        program_file.get(), options.plan};
  const pid_t pid = ::fork();
  if (pid < 0) return store::SystemError(program, "start");
  if (pid == 0) RunChild(command);
  // Both sides set the group, so that it exists whoever runs first.
  ::setpgid(pid, pid);
  write_end = store::Descriptor();
  Failure failure;
  ssize_t got;
  do {
    got = ::read(read_end.get(), &failure, sizeof(failure));
  } while (got < 0 && errno == EINTR);
  if (got != sizeof(failure)) return static_cast<int>(pid);
  ::waitpid(pid, nullptr, 0);
  if (!failure.isolated) {
    return FailedPrecondition("{} was not started without the isolation that is required; {}",
                              program.string(), failure.report.Describe());
  }
  errno = failure.error;
  return store::SystemError(program, "start");
}

}  // namespace haq::server::jobs
