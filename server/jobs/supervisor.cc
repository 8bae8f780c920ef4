#include "server/jobs/supervisor.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>

#include "server/jobs/process.h"
#include "server/sandbox/plan.h"
#include "server/store/descriptor.h"

namespace haq::server::jobs {

namespace {

double SecondsOf(const rusage& usage) {
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

Result<std::filesystem::path> FindWorkerProgram(const std::filesystem::path& setting) {
  std::filesystem::path program = setting;
  if (program.empty()) {
    std::error_code error;
    program = std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "haq-worker";
  }
  if (::access(program.c_str(), X_OK) != 0) {
    return NotFound("there is no worker program {}", program.string());
  }
  return program;
}

Supervisor::Supervisor(SupervisorOptions options, SupervisorCallbacks callbacks)
    : options_(std::move(options)), callbacks_(std::move(callbacks)) {}

Supervisor::~Supervisor() { Stop(); }

void Supervisor::Start() {
  for (int i = 0; i < options_.workers; ++i) slots_.push_back(std::make_unique<Slot>());
  for (int i = 0; i < options_.workers; ++i) {
    slots_[i]->thread = std::thread([this, i] { Run(i); });
  }
}

void Supervisor::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  SignalAll(SIGTERM);
  {
    std::unique_lock lock(mutex_);
    const auto all_gone = [this] {
      return std::all_of(slots_.begin(), slots_.end(), [](const auto& s) { return s->pid == 0; });
    };
    changed_.wait_for(lock, std::chrono::milliseconds(options_.stop_timeout_ms), all_gone);
  }
  SignalAll(SIGKILL);
  for (const auto& slot : slots_) {
    if (slot->thread.joinable()) slot->thread.join();
  }
  slots_.clear();
}

void Supervisor::SignalAll(int signal) {
  const std::lock_guard lock(mutex_);
  for (const auto& slot : slots_) {
    if (slot->pid != 0) ::kill(-slot->pid, signal);
  }
}

void Supervisor::Kill(const std::string& worker) {
  const std::lock_guard lock(mutex_);
  for (const auto& slot : slots_) {
    if (slot->pid != 0 && slot->name == worker) ::kill(-slot->pid, SIGKILL);
  }
}

bool Supervisor::Sleep(int milliseconds) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(milliseconds), [this] { return stopping_; });
  return !stopping_;
}

// The process is looked at before it is reaped, and reaped under the lock: as long as slot.pid says
// so, the number belongs to it and may be signalled.
ProcessExit Supervisor::Wait(Slot& slot, int pid) {
  siginfo_t info{};
  while (::waitid(P_PID, pid, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  const std::lock_guard lock(mutex_);
  // What the worker started goes with it.
  ::kill(-pid, SIGKILL);
  int status = 0;
  rusage usage{};
  ::wait4(pid, &status, 0, &usage);
  slot.pid = 0;
  changed_.notify_all();
  ProcessExit exit;
  if (WIFSIGNALED(status)) exit.signal = WTERMSIG(status);
  if (options_.isolation.mode != sandbox::Mode::kOff) {
    exit.limit = sandbox::LimitBehind(exit.signal, SecondsOf(usage), options_.isolation.limits);
  }
  if (WIFEXITED(status)) exit.code = WEXITSTATUS(status);
  return exit;
}

Result<int> Supervisor::Launch(const std::string& name) {
  ProcessOptions process{
      options_.program, options_.arguments, {"HAQ_WORKER_NAME=" + name}, {}, nullptr};
  if (options_.folders.empty()) return StartProcess(process);
  process.folder = options_.folders / name;
  std::error_code ignored;
  std::filesystem::remove_all(process.folder, ignored);
  if (::mkdir(process.folder.c_str(), 0700) != 0) {
    return store::SystemError(process.folder, "make the worker's folder");
  }
  if (options_.isolation.mode == sandbox::Mode::kOff) return StartProcess(process);
  HAQ_ASSIGN_OR_RETURN(const sandbox::Plan plan,
                       sandbox::Plan::Make(options_.isolation, process.folder, options_.program));
  process.plan = &plan;
  return StartProcess(process);
}

void Supervisor::Run(int index) {
  Slot& slot = *slots_[index];
  int delay_ms = options_.first_delay_ms;
  for (int run = 1;; ++run) {
    const std::string name = fmt::format("embedded-{}-{}", index, run);
    const auto started = std::chrono::steady_clock::now();
    Status failure;
    int pid = 0;
    bool done = false;
    {
      // Under the lock, so that Stop sees the process or prevents it.
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      const Result<int> result = Launch(name);
      if (result.ok()) {
        slot.pid = pid = *result;
        slot.name = name;
      } else {
        failure = result.status();
      }
    }
    if (failure.ok()) {
      if (callbacks_.on_start) callbacks_.on_start(name, pid);
      const ProcessExit exit = Wait(slot, pid);
      done = exit.signal == 0 && exit.code == 0;
      if (!options_.folders.empty()) {
        std::error_code ignored;
        std::filesystem::remove_all(options_.folders / name, ignored);
      }
      if (callbacks_.on_exit) callbacks_.on_exit(name, exit);
    } else if (callbacks_.on_failure) {
      callbacks_.on_failure(failure);
    }
    const auto lived = std::chrono::steady_clock::now() - started;
    if (done || lived > std::chrono::milliseconds(options_.healthy_after_ms)) {
      delay_ms = options_.first_delay_ms;
    }
    if (!Sleep(delay_ms)) return;
    if (!done) delay_ms = std::min(delay_ms * 2, options_.max_delay_ms);
  }
}

}  // namespace haq::server::jobs
