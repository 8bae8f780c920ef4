#include "server/sandbox/plan.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "server/sandbox/system_calls.h"
#include "server/store/descriptor.h"

namespace haq::server::sandbox {
namespace {

constexpr uid_t kNobody = 65534;  // where the system has no user of that name

// Libraries, the dynamic loader, and what OpenBLAS, libgomp and libstdc++ want to know of the
// machine.
constexpr const char* kReadable[] = {"/usr",
                                     "/lib",
                                     "/lib32",
                                     "/lib64",
                                     "/etc/ld.so.cache",
                                     "/etc/localtime",
                                     "/proc/cpuinfo",
                                     "/proc/meminfo",
                                     "/proc/stat",
                                     "/proc/filesystems",
                                     "/sys/devices/system",
                                     "/dev/urandom",
                                     "/dev/random",
                                     "/dev/zero"};

constexpr const char* kPassedOn[] = {"HAQ_",
                                     "OMP_",
                                     "GOMP_",
                                     "KMP_",
                                     "MKL_",
                                     "OPENBLAS_",
                                     "GOTO_",
                                     "GRPC_",
                                     "MALLOC_",
                                     "PATH=",
                                     "LANG=",
                                     "LC_",
                                     "TZ=",
                                     "LD_LIBRARY_PATH=",
                                     "GLIBC_TUNABLES=",
                                     "ASAN_OPTIONS=",
                                     "UBSAN_OPTIONS=",
                                     "TSAN_OPTIONS=",
                                     "LSAN_OPTIONS="};

int WriteSmallFile(const char* path, std::string_view text) {
  const int file = ::open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return errno;
  const ssize_t put = ::write(file, text.data(), text.size());
  const int error = put == static_cast<ssize_t>(text.size()) ? 0 : errno;
  ::close(file);
  return error;
}

// None now, and none after any exec: the bounding set is emptied while it may be.
int DropCapabilities() {
  for (unsigned long capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0;
       ++capability) {
    // EPERM without CAP_SETPCAP: a user who has nothing to lose.
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EPERM) return errno;
  }
  return 0;
}

int ClearCapabilities() {
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const std::array<__user_cap_data_struct, 2> none{};
  return syscall(SYS_capset, &header, none.data()) == 0 ? 0 : errno;
}

std::string DescribeFilter() {
  switch (::prctl(PR_GET_SECCOMP, 0, 0, 0, 0)) {
    case 2:
      return "system calls filtered";
    default:
      return "system calls not filtered";
  }
}

}  // namespace

Result<User> FindUser(const Options& options) {
  if (::geteuid() != 0 || options.mode == Mode::kOff) return User{};
  const std::string& name = options.user;
  if (name.empty() || name == "root" || name == "0") return User{};
  uid_t number = 0;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool is_number = parsed.ec == std::errc() && parsed.ptr == name.data() + name.size();
  std::vector<char> buffer(1 << 16);
  passwd entry{};
  passwd* found = nullptr;
  if (is_number) {
    ::getpwuid_r(number, &entry, buffer.data(), buffer.size(), &found);
  } else {
    ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  }
  if (found != nullptr) return User{entry.pw_uid != 0, entry.pw_uid, entry.pw_gid};
  if (is_number) return User{true, number, static_cast<gid_t>(number)};
  if (name == "nobody") return User{true, kNobody, kNobody};
  return InvalidField("worker_user", "there is no user '{}'", name);
}

Result<Plan> Plan::Make(const Options& options, const std::filesystem::path& folder,
                        const std::filesystem::path& program) {
  HAQ_ASSIGN_OR_RETURN(const User user, FindUser(options));
  Plan plan(options, user);
  plan.root_ = ::geteuid() == 0;
  if (user.change && ::chown(folder.c_str(), user.uid, user.gid) != 0) {
    return store::SystemError(folder, "give to the worker's user");
  }
  plan.uid_map_ = fmt::format("{0} {0} 1", ::geteuid());
  plan.gid_map_ = fmt::format("{0} {0} 1", ::getegid());
  plan.AddLimits();
  for (const char* path : kReadable) plan.files_.AllowReading(path);
  plan.files_.AllowReading(program);
  if (const char* paths = std::getenv("LD_LIBRARY_PATH"); paths != nullptr) {
    std::string_view rest = paths;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find(':'), rest.size());
      if (end > 0) plan.files_.AllowReading(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  plan.files_.AllowWriting("/dev/null");
  plan.files_.AllowWriting(folder);
  HAQ_ASSIGN_OR_RETURN(plan.filter_, WorkerFilter());
  return plan;
}

void Plan::AddLimits() {
  const Limits& limits = options_.limits;
  const auto add = [this](int resource, int64_t limit, int64_t grace = 0) {
    if (limit <= 0) return;
    limits_.push_back({resource, {static_cast<rlim_t>(limit), static_cast<rlim_t>(limit + grace)}});
  };
  limits_.push_back({RLIMIT_CORE, {0, 0}});
  add(RLIMIT_DATA, limits.max_memory_bytes);
  // SIGXCPU at the limit tells what it was; SIGKILL comes to whoever does not listen.
  add(RLIMIT_CPU, limits.max_cpu_seconds, 2);
  add(RLIMIT_NPROC, limits.max_threads);
  add(RLIMIT_FSIZE, limits.max_file_bytes);
  add(RLIMIT_NOFILE, limits.max_open_files);
}

// Root needs no user namespace. Everybody else becomes an ordinary user of a new one, under the
// number that it has outside.
int Plan::EnterNetworkNamespace() const {
  if (root_) return ::unshare(CLONE_NEWNET) == 0 ? 0 : errno;
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return errno;
  if (const int error = WriteSmallFile("/proc/self/setgroups", "deny"); error != 0) return error;
  if (const int error = WriteSmallFile("/proc/self/uid_map", uid_map_); error != 0) return error;
  return WriteSmallFile("/proc/self/gid_map", gid_map_);
}

int Plan::ChangeUser() const {
  // The raw calls: those of the C library want to tell the threads of the parent.
  if (syscall(SYS_setgroups, 0, nullptr) != 0) return errno;
  if (syscall(SYS_setresgid, user_.gid, user_.gid, user_.gid) != 0) return errno;
  if (syscall(SYS_setresuid, user_.uid, user_.uid, user_.uid) != 0) return errno;
  return 0;
}

int Plan::SetLimits() const {
  int result = 0;
  for (const auto& [resource, wanted] : limits_) {
    rlimit limit = wanted;
    rlimit present{};
    ::getrlimit(static_cast<__rlimit_resource>(resource), &present);
    // One that is lower already stays.
    limit.rlim_max = std::min(limit.rlim_max, present.rlim_max);
    limit.rlim_cur = std::min(limit.rlim_cur, limit.rlim_max);
    if (::setrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) result = errno;
  }
  return result;
}

Report Plan::PutOn() const {
  Report report;
  report[Mechanism::kNetworkNamespace] = EnterNetworkNamespace();
  const int dropped = DropCapabilities();
  report[Mechanism::kUser] =
      user_.change ? ChangeUser() : (root_ ? Report::kNotAsked : Report::kOn);
  const int cleared = ClearCapabilities();
  report[Mechanism::kCapabilities] = dropped != 0 ? dropped : cleared;
  report[Mechanism::kNoNewPrivileges] =
      ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? Report::kOn : errno;
  report[Mechanism::kLimits] = SetLimits();
  report[Mechanism::kLandlock] = files_.RestrictSelf();
  report[Mechanism::kSeccomp] = sandbox::PutOn(filter_);
  return report;
}

Result<Report> Plan::Try() const {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return store::SystemError("pipe", "make");
  const store::Descriptor read_end(ends[0]);
  store::Descriptor write_end(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return store::SystemError("a process", "start");
  if (pid == 0) {
    const Report report = PutOn();
    const ssize_t put = ::write(write_end.get(), &report, sizeof(report));
    ::_exit(put == sizeof(report) ? 0 : 1);
  }
  write_end = store::Descriptor();
  Report report;
  ssize_t got;
  do {
    got = ::read(read_end.get(), &report, sizeof(report));
  } while (got < 0 && errno == EINTR);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (got != sizeof(report)) return InternalError("the isolation of workers cannot be tried out");
  return report;
}

std::vector<std::string> WorkerEnvironment() {
  std::vector<std::string> environment;
  for (char** variable = ::environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const bool wanted =
        std::any_of(std::begin(kPassedOn), std::end(kPassedOn),
                    [&](std::string_view start) { return text.starts_with(start); });
    if (wanted) environment.emplace_back(text);
  }
  return environment;
}

std::string LimitBehind(int signal, double cpu_seconds, const Limits& limits) {
  const bool used_up =
      limits.max_cpu_seconds > 0 && cpu_seconds >= static_cast<double>(limits.max_cpu_seconds);
  if (signal == SIGXCPU || (signal == SIGKILL && used_up)) {
    return fmt::format("its limit of {} s of CPU time (--worker-max-cpu-seconds)",
                       limits.max_cpu_seconds);
  }
  if (signal == SIGXFSZ) {
    return fmt::format("its limit of {} bytes a file (--worker-max-file-bytes)",
                       limits.max_file_bytes);
  }
  return {};
}

std::string DescribeOwn() {
  const char* privileges = ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1
                               ? "no new privileges"
                               : "new privileges possible";
  rlimit memory{};
  ::getrlimit(RLIMIT_DATA, &memory);
  const std::string limit = memory.rlim_cur == RLIM_INFINITY
                                ? "no limit of memory"
                                : fmt::format("at most {} bytes of memory", memory.rlim_cur);
  return fmt::format("user {}, {}, {}, {}", ::geteuid(), privileges, DescribeFilter(), limit);
}

}  // namespace haq::server::sandbox
