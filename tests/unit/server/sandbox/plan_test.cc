// What a process that was taken over can do, by trying it: once without isolation, where it works,
// and once with, where it must not.
#include "server/sandbox/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "server/jobs/process.h"
#include "testing.h"

namespace haq::server::sandbox {
namespace {

using testing::HasSubstr;
using testing::Not;

// The exit code, or 1000 and the signal.
constexpr int kSignal = 1000;

std::filesystem::path Hostile() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "sandbox_hostile";
}

class PlanTest : public testing::Test {
 protected:
  PlanTest() {
    options_.user = "61234";  // nobody else's, so that its threads are counted alone
    options_.limits = {.max_memory_bytes = 256 << 20,
                       .max_cpu_seconds = 1,
                       .max_threads = 64,
                       .max_file_bytes = 4 << 20,
                       .max_open_files = 64};
    // The temporary folder is 0700; the worker's user does not pass it, and need not.
    own_ = folder_.path() / "own";
    std::filesystem::create_directory(own_);
  }

  int Run(const Plan* plan, const std::vector<std::string>& attack) {
    const auto pid = jobs::StartProcess({Hostile(), attack, {}, own_, plan});
    EXPECT_TRUE(pid.ok()) << pid.status().ToString();
    if (!pid.ok()) return -1;
    int status = 0;
    ::waitpid(*pid, &status, 0);
    return WIFSIGNALED(status) ? kSignal + WTERMSIG(status) : WEXITSTATUS(status);
  }

  // Refused with `expected` under the isolation. When it does not even work without, this machine
  // has another wall, and the test shows nothing.
  void Expect(const std::vector<std::string>& attack, int expected) {
    SCOPED_TRACE(attack[0] + (attack.size() > 1 ? " " + attack[1] : ""));
    if (const int without = Run(nullptr, attack); without != 0) {
      std::cerr << attack[0] << " does not work here anyway: " << std::strerror(without) << "\n";
    }
    std::filesystem::remove_all(own_);
    std::filesystem::create_directory(own_);
    const auto plan = Plan::Make(options_, own_, Hostile());
    ASSERT_TRUE(plan.ok()) << plan.status().ToString();
    EXPECT_EQ(Run(&*plan, attack), expected);
  }

  bool Has(Mechanism mechanism) {
    const auto plan = Plan::Make(options_, own_, Hostile());
    EXPECT_TRUE(plan.ok());
    const auto report = plan->Try();
    EXPECT_TRUE(report.ok());
    if ((*report)[mechanism] == Report::kOn) return true;
    std::cerr << "this machine: " << report->Describe() << "\n";
    return false;
  }

  const test::TempFolder folder_;
  std::filesystem::path own_;
  Options options_;
};

TEST_F(PlanTest, ItsOwnFolderCanBeUsed) {
  const auto plan = Plan::Make(options_, own_, Hostile());
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(Run(&*plan, {"write-file", "own-file"}), 0);
  EXPECT_EQ(Run(&*plan, {"read-file", "own-file"}), 0);
  EXPECT_EQ(Run(&*plan, {"list-folder", "."}), 0);
  EXPECT_EQ(Run(&*plan, {"read-file", "/proc/self/status"}), 0);
  EXPECT_EQ(Run(&*plan, {"threads", "20"}), 0);
  EXPECT_EQ(Run(&*plan, {"memory", "100"}), 0);
  EXPECT_EQ(Run(&*plan, {"socket", std::to_string(AF_UNIX)}), 0);
  EXPECT_EQ(Run(&*plan, {"run"}), 0) << "the worker itself is run this way";
}

TEST_F(PlanTest, NoFilesOfOthers) {
  if (!Has(Mechanism::kLandlock)) GTEST_SKIP() << "no Landlock";
  // Readable and writable for everybody: only Landlock stands before it.
  const auto open_folder =
      std::filesystem::path("/tmp") / fmt::format("haq-sandbox-{}", ::getpid());
  std::filesystem::create_directory(open_folder);
  std::filesystem::permissions(open_folder, std::filesystem::perms::all);
  std::ofstream(open_folder / "model") << "of another job";
  Expect({"read-file", open_folder / "model"}, EACCES);
  Expect({"write-file", open_folder / "new"}, EACCES);
  Expect({"list-folder", open_folder}, EACCES);
  Expect({"list-folder", "/"}, EACCES);
  Expect({"read-file", "/etc/passwd"}, EACCES);
  Expect({"read-file", fmt::format("/proc/{}/status", ::getpid())}, EACCES);
  std::filesystem::remove_all(open_folder);
}

TEST_F(PlanTest, NoFilesOfRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root: there is no other user to become";
  Expect({"read-file", "/etc/shadow"}, EACCES);
  Expect({"root"}, EPERM);
}

TEST_F(PlanTest, NoNetwork) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 10), 0);
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  Expect({"connect-tcp", std::to_string(ntohs(address.sin_port))}, EPERM);
  for (const int family : {AF_INET, AF_INET6, AF_NETLINK, AF_PACKET}) {
    Expect({"socket", std::to_string(family)}, EPERM);
  }
  ::close(listener);
}

TEST_F(PlanTest, NoNetworkDevicesEither) {
  if (!Has(Mechanism::kNetworkNamespace)) GTEST_SKIP() << "no namespaces";
  Expect({"network-namespace", std::filesystem::read_symlink("/proc/self/ns/net")}, ENOENT);
}

TEST_F(PlanTest, NoPrivilegesAndNoWayToThem) {
  Expect({"have-capabilities"}, EPERM);
  Expect({"gain-privileges"}, EPERM);
  Expect({"dump-core"}, EPERM);
}

TEST_F(PlanTest, NoOtherProcesses) {
  Expect({"fork"}, EPERM);
  Expect({"trace-parent"}, EPERM);
  static const char byte = 7;
  Expect({"read-parent", std::to_string(reinterpret_cast<uintptr_t>(&byte))}, EPERM);
}

TEST_F(PlanTest, NoSignalsToOthers) {
  if (!Has(Mechanism::kUser) || ::geteuid() != 0) GTEST_SKIP() << "the parent is the same user";
  Expect({"signal-parent"}, EPERM);
}

TEST_F(PlanTest, NoProgramsOnceTheWorkerSaysSo) {
  EXPECT_EQ(Run(nullptr, {"run", "forbid"}), EPERM);
}

TEST_F(PlanTest, NoDangerousSystemCalls) {
  // With null arguments, these end with EFAULT or EINVAL where they are let through, or do nothing.
  for (const long call : {SYS_bpf, SYS_keyctl, SYS_userfaultfd, SYS_perf_event_open, SYS_unshare,
                          SYS_mount, SYS_memfd_create, SYS_finit_module, SYS_kexec_load}) {
    const auto plan = Plan::Make(options_, own_, Hostile());
    ASSERT_TRUE(plan.ok());
    SCOPED_TRACE(call);
    if (::geteuid() == 0) {
      EXPECT_NE(Run(nullptr, {"system-call", std::to_string(call)}), EPERM);
    }
    EXPECT_EQ(Run(&*plan, {"system-call", std::to_string(call)}), EPERM);
  }
  Expect({"shared-memory"}, EPERM);
  for (const long call : {SYS_clone3, SYS_io_uring_setup}) {
    const auto plan = Plan::Make(options_, own_, Hostile());
    EXPECT_EQ(Run(&*plan, {"system-call", std::to_string(call)}), ENOSYS);
  }
}

TEST_F(PlanTest, Limits) {
  Expect({"memory", "512"}, ENOMEM);
  Expect({"threads", "100"}, EAGAIN);
  Expect({"open-files", "100"}, EMFILE);
  Expect({"big-file", "16"}, kSignal + SIGXFSZ);
  Expect({"spin", "2"}, kSignal + SIGXCPU);
}

TEST_F(PlanTest, ALimitOfZeroIsNone) {
  options_.limits = {0, 0, 0, 0, 0};
  const auto plan = Plan::Make(options_, own_, Hostile());
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(Run(&*plan, {"memory", "512"}), 0);
  EXPECT_EQ(Run(&*plan, {"threads", "100"}), 0);
  EXPECT_EQ(Run(&*plan, {"big-file", "16"}), 0);
}

TEST_F(PlanTest, NoSecretsOfTheServer) {
  ::setenv("DATABASE_PASSWORD", "secret", 1);
  ::setenv("HAQ_STALL_TIMEOUT_MS", "5", 1);
  Expect({"see-secret", "DATABASE_PASSWORD"}, ENOENT);
  const auto plan = Plan::Make(options_, own_, Hostile());
  EXPECT_EQ(Run(&*plan, {"see-secret", "HAQ_STALL_TIMEOUT_MS"}), 0);
  ::unsetenv("DATABASE_PASSWORD");
  ::unsetenv("HAQ_STALL_TIMEOUT_MS");
}

TEST_F(PlanTest, UsersAreFound) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root: the user does not matter";
  EXPECT_EQ(FindUser(options_)->uid, 61234u);
  options_.user = "root";
  EXPECT_FALSE(FindUser(options_)->change);
  options_.user = "nobody";
  EXPECT_TRUE(FindUser(options_)->change);
  options_.user = "no-such-user";
  const auto none = FindUser(options_);
  EXPECT_EQ(none.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(none.status().message(), HasSubstr("worker_user: there is no user 'no-such-user'"));
}

TEST(ReportTest, SaysWhatIsOnAndWhatWasRefused) {
  Report report;
  EXPECT_TRUE(report.Complete());
  report[Mechanism::kUser] = Report::kNotAsked;
  report[Mechanism::kNetworkNamespace] = EPERM;
  EXPECT_TRUE(report.Complete()) << "seccomp refuses sockets, too";
  EXPECT_THAT(report.Describe(), HasSubstr("refused by this machine: network_namespace (Operation "
                                           "not permitted); not asked for: user"));
  EXPECT_THAT(report.Describe(), Not(HasSubstr("on: network_namespace")));
  report[Mechanism::kLandlock] = ENOSYS;
  EXPECT_FALSE(report.Complete());
}

TEST(LimitBehindTest, OnlyWhatALimitDid) {
  const Limits limits{.max_memory_bytes = 1, .max_cpu_seconds = 60, .max_file_bytes = 7};
  EXPECT_THAT(LimitBehind(SIGXCPU, 60, limits), HasSubstr("60 s of CPU time"));
  EXPECT_THAT(LimitBehind(SIGKILL, 62, limits), HasSubstr("--worker-max-cpu-seconds"));
  EXPECT_EQ(LimitBehind(SIGKILL, 3, limits), "");
  EXPECT_THAT(LimitBehind(SIGXFSZ, 3, limits), HasSubstr("7 bytes a file"));
  EXPECT_EQ(LimitBehind(0, 100, limits), "");
}

}  // namespace
}  // namespace haq::server::sandbox
