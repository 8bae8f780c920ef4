// Keeps worker processes running.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/status.h"
#include "server/jobs/queue.h"
#include "server/sandbox/isolation.h"

namespace haq::server::jobs {

struct SupervisorOptions {
  // Run as `program arguments...`, with HAQ_WORKER_NAME=embedded-<slot>-<run> in its environment:
  // the name that the worker gives when it asks for jobs.
  std::filesystem::path program;
  std::vector<std::string> arguments;  // "serve", "--server", "unix:PATH"
  int workers = 1;
  // Every process starts in a new folder of its own, `folders`/<its name>, which is removed when it
  // ends. Empty: in the folder of this process, and without isolation.
  std::filesystem::path folders;
  sandbox::Options isolation{.mode = sandbox::Mode::kOff, .limits = {}};
  // A worker that ends is started again after this delay, which doubles every time up to the
  // maximum, and is the first again once a worker has lived for `healthy_after_ms` or ended with 0,
  // which is how it says that it has done what it was to do.
  int first_delay_ms = 100;
  int max_delay_ms = 30'000;
  int healthy_after_ms = 10'000;
  // How long Stop waits between SIGTERM and SIGKILL.
  int stop_timeout_ms = 5'000;
};

// Called from the supervisor's threads; must not call Stop.
struct SupervisorCallbacks {
  std::function<void(const std::string& worker, int pid)> on_start;
  std::function<void(const std::string& worker, const ProcessExit& exit)> on_exit;
  // The program could not be started; it will be tried again.
  std::function<void(const Status& reason)> on_failure;
};

// `haq-worker` beside this program, or `setting` when it is not empty. kNotFound names the path
// when nothing executable is there.
Result<std::filesystem::path> FindWorkerProgram(const std::filesystem::path& setting);

// One thread a worker. Workers get SIGKILL when this process dies, each leads a process group of
// its own, and inherits nothing but stdout and stderr.
class Supervisor {
 public:
  Supervisor(SupervisorOptions options, SupervisorCallbacks callbacks);
  // Stops.
  ~Supervisor();

  void Start();
  // SIGTERM to every worker's group, SIGKILL after the timeout; returns when all are gone. on_exit
  // was called for each.
  void Stop();
  // SIGKILL to the worker of that name and what it started, if it runs.
  void Kill(const std::string& worker);

 private:
  struct Slot {
    std::thread thread;
    int pid = 0;       // of the process that runs and was not reaped yet; guarded by mutex_
    std::string name;  // its name; guarded by mutex_
  };

  void Run(int index);
  Result<int> Launch(const std::string& name);
  void SignalAll(int signal);
  ProcessExit Wait(Slot& slot, int pid);
  bool Sleep(int milliseconds);

  const SupervisorOptions options_;
  const SupervisorCallbacks callbacks_;
  std::vector<std::unique_ptr<Slot>> slots_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;  // guarded by mutex_
};

}  // namespace haq::server::jobs
