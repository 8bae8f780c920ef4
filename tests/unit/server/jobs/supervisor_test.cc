// Real processes: shells that play the worker.
#include "server/jobs/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

#include "core/base/file.h"
#include "testing.h"

namespace haq::server::jobs {
namespace {

using testing::HasSubstr;

class SupervisorTest : public testing::Test {
 protected:
  SupervisorOptions Shell(const std::string& script) {
    SupervisorOptions options;
    options.program = "/bin/sh";
    options.arguments = {"-c", script};
    options.first_delay_ms = 1;
    options.max_delay_ms = 5;
    options.stop_timeout_ms = 10'000;
    return options;
  }

  SupervisorCallbacks Callbacks() {
    SupervisorCallbacks callbacks;
    callbacks.on_start = [this](const std::string& name, int pid) {
      const std::lock_guard lock(mutex_);
      started_.push_back(name);
      pids_.push_back(pid);
      changed_.notify_all();
    };
    callbacks.on_exit = [this](const std::string& name, const ProcessExit& exit) {
      const std::lock_guard lock(mutex_);
      exits_.push_back(name + " " + exit.Describe());
      crashed_.push_back(exit.Crashed());
      changed_.notify_all();
    };
    callbacks.on_failure = [this](const Status& status) {
      const std::lock_guard lock(mutex_);
      failures_.push_back(status);
      changed_.notify_all();
    };
    return callbacks;
  }

  template <typename Predicate>
  bool WaitUntil(Predicate predicate) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), predicate);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> started_, exits_;
  std::vector<int> pids_;
  std::vector<Status> failures_;
  std::vector<bool> crashed_;  // of each exit
};

TEST_F(SupervisorTest, StartsAgainWhatEnds) {
  Supervisor supervisor(Shell("exit 3"), Callbacks());
  supervisor.Start();
  ASSERT_TRUE(WaitUntil([&] { return exits_.size() >= 3; }));
  supervisor.Stop();
  EXPECT_EQ(exits_[0], "embedded-0-1 exited with code 3");
  EXPECT_EQ(exits_[2], "embedded-0-3 exited with code 3");
  EXPECT_FALSE(crashed_[0]);
}

TEST_F(SupervisorTest, TellsACrashFromAKill) {
  {
    Supervisor supervisor(Shell("kill -ABRT $$"), Callbacks());
    supervisor.Start();
    ASSERT_TRUE(WaitUntil([&] { return !exits_.empty(); }));
  }
  EXPECT_EQ(exits_[0], "embedded-0-1 crashed (signal 6, Aborted)");
  EXPECT_TRUE(crashed_[0]);
  exits_.clear();
  crashed_.clear();
  {
    Supervisor supervisor(Shell("kill -KILL $$"), Callbacks());
    supervisor.Start();
    ASSERT_TRUE(WaitUntil([&] { return !exits_.empty(); }));
  }
  EXPECT_EQ(exits_[0], "embedded-0-1 was killed (signal 9, Killed)");
  EXPECT_FALSE(crashed_[0]);
}

TEST_F(SupervisorTest, WorkersKnowTheirName) {
  const test::TempFolder folder;
  SupervisorOptions options = Shell(fmt::format(
      "echo $HAQ_WORKER_NAME > {}/$HAQ_WORKER_NAME; exec sleep 100", folder.path().string()));
  options.workers = 2;
  Supervisor supervisor(options, Callbacks());
  supervisor.Start();
  for (const char* name : {"embedded-0-1", "embedded-1-1"}) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    Result<std::string> text = ReadTextFile(folder.path() / name);
    while ((!text.ok() || text->empty()) && std::chrono::steady_clock::now() < deadline) {
      ::usleep(2000);
      text = ReadTextFile(folder.path() / name);
    }
    ASSERT_TRUE(text.ok());
    EXPECT_EQ(*text, std::string(name) + "\n");
  }
  supervisor.Stop();
  EXPECT_EQ(exits_.size(), 2u);
}

TEST_F(SupervisorTest, StopIsPoliteFirst) {
  Supervisor supervisor(Shell("trap 'exit 7' TERM; while :; do sleep 0.01; done"), Callbacks());
  supervisor.Start();
  ASSERT_TRUE(WaitUntil([&] { return !started_.empty(); }));
  ::usleep(200'000);  // the shell sets its trap
  supervisor.Stop();
  ASSERT_EQ(exits_.size(), 1u);
  EXPECT_EQ(exits_[0], "embedded-0-1 exited with code 7");
}

TEST_F(SupervisorTest, StopKillsWhatDoesNotListenAndWhatItStarted) {
  SupervisorOptions options = Shell("trap '' TERM; sleep 100 & while :; do sleep 0.01; done");
  options.stop_timeout_ms = 300;
  Supervisor supervisor(options, Callbacks());
  supervisor.Start();
  ASSERT_TRUE(WaitUntil([&] { return !started_.empty(); }));
  ::usleep(200'000);  // the shell sets its trap
  supervisor.Stop();
  ASSERT_EQ(exits_.size(), 1u);
  EXPECT_EQ(exits_[0], "embedded-0-1 was killed (signal 9, Killed)");
  // The whole group is gone, or its last members wait to be reaped by init.
  int tries = 0;
  while (::kill(-pids_[0], 0) == 0 && ++tries < 1000) ::usleep(2000);
  EXPECT_LT(tries, 1000);
}

TEST_F(SupervisorTest, EveryWorkerHasAFolderOfItsOwn) {
  const test::TempFolder folder;
  const auto out = folder.path() / "out";
  SupervisorOptions options =
      Shell(fmt::format("pwd > {}; touch scratch; exec sleep 100", out.string()));
  options.folders = folder.path();
  std::filesystem::create_directories(folder.path() / "embedded-0-1" / "left");
  {
    Supervisor supervisor(options, Callbacks());
    supervisor.Start();
    const auto own = folder.path() / "embedded-0-1";
    int tries = 0;
    while (!std::filesystem::exists(own / "scratch") && ++tries < 10'000) ::usleep(2000);
    EXPECT_EQ(*ReadTextFile(out), own.string() + "\n");
    EXPECT_FALSE(std::filesystem::exists(own / "left")) << "of a server that was killed";
    supervisor.Kill("embedded-0-1");
    ASSERT_TRUE(WaitUntil([&] { return !exits_.empty(); }));
    EXPECT_FALSE(std::filesystem::exists(own));
  }
  EXPECT_EQ(exits_[0], "embedded-0-1 was killed (signal 9, Killed)");
}

TEST_F(SupervisorTest, SaysWhichLimitEndedAWorker) {
  const test::TempFolder folder;
  SupervisorOptions options = Shell("while :; do :; done");
  options.folders = folder.path();
  options.isolation.mode = sandbox::Mode::kAuto;
  options.isolation.limits.max_cpu_seconds = 1;
  Supervisor supervisor(options, Callbacks());
  supervisor.Start();
  ASSERT_TRUE(WaitUntil([&] { return !exits_.empty(); }));
  EXPECT_EQ(exits_[0],
            "embedded-0-1 was ended by its limit of 1 s of CPU time (--worker-max-cpu-seconds)");
}

TEST_F(SupervisorTest, AWorkerThatIsDoneIsFollowedAtOnce) {
  SupervisorOptions options = Shell("exit 0");
  options.first_delay_ms = 1;
  options.max_delay_ms = 3'600'000;
  Supervisor supervisor(options, Callbacks());
  supervisor.Start();
  // With the delay of failures the tenth would come after a second, the thirtieth after days.
  EXPECT_TRUE(WaitUntil([&] { return exits_.size() >= 30; }));
}

TEST_F(SupervisorTest, AProgramThatIsNotThere) {
  SupervisorOptions options = Shell("");
  options.program = "/nonexistent/haq-worker";
  Supervisor supervisor(options, Callbacks());
  supervisor.Start();
  ASSERT_TRUE(WaitUntil([&] { return failures_.size() >= 2; })) << "it is tried again";
  EXPECT_EQ(failures_[0].code(), StatusCode::kNotFound);
  EXPECT_THAT(failures_[0].message(), HasSubstr("/nonexistent/haq-worker"));
  EXPECT_EQ(FindWorkerProgram("/nonexistent/haq-worker").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(*FindWorkerProgram("/bin/sh"), "/bin/sh");
}

TEST_F(SupervisorTest, WorkersInheritNoOpenFiles) {
  const test::TempFolder folder;
  const auto out = folder.path() / "fds";
  const int leaked = ::dup2(STDOUT_FILENO, 77);
  ASSERT_EQ(leaked, 77);
  Supervisor supervisor(Shell(fmt::format("if [ -e /proc/self/fd/77 ]; then echo leaked; else echo "
                                          "clean; fi > {}.tmp; mv {}.tmp {}; "
                                          "exec sleep 100",
                                          out.string(), out.string(), out.string())),
                        Callbacks());
  supervisor.Start();
  int tries = 0;
  while (!std::filesystem::exists(out) && ++tries < 10'000) ::usleep(2000);
  ::close(leaked);
  EXPECT_EQ(*ReadTextFile(out), "clean\n");
}

// A server that is killed takes its workers with it.
TEST_F(SupervisorTest, WorkersDieWithTheServer) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t server = ::fork();
  if (server == 0) {
    SupervisorCallbacks callbacks;
    callbacks.on_start = [&](const std::string&, int pid) {
      static_cast<void>(!::write(ends[1], &pid, sizeof(pid)));
    };
    Supervisor supervisor(Shell("exec sleep 100"), callbacks);
    supervisor.Start();
    ::pause();
    ::_exit(0);
  }
  int worker = 0;
  ASSERT_EQ(::read(ends[0], &worker, sizeof(worker)), static_cast<ssize_t>(sizeof(worker)));
  ::close(ends[0]);
  ::close(ends[1]);
  ::kill(server, SIGKILL);
  ::waitpid(server, nullptr, 0);
  const auto state = [&]() -> std::string {
    std::ifstream file(fmt::format("/proc/{}/stat", worker));
    std::string pid, name, state;
    file >> pid >> name >> state;
    return state;
  };
  int tries = 0;
  // Gone, or a zombie that nobody reaps.
  while (!state().empty() && state() != "Z" && ++tries < 1000) ::usleep(2000);
  EXPECT_LT(tries, 1000);
}

}  // namespace
}  // namespace haq::server::jobs
