// A worker that was taken over: `hostile ATTACK [ARGUMENT]` tries one thing and ends with 0 when it
// worked, with the errno when it was refused. Limits of the kernel end it by a signal.
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "server/sandbox/system_calls.h"

namespace {

constexpr int kWorked = 0;
constexpr size_t kMiB = 1 << 20;

int Outcome(long result) { return result >= 0 ? kWorked : errno; }

int ConnectTcp(const std::string& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return errno;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::stoi(port)));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return Outcome(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)));
}

int ShareNetwork(const std::string& of_parent) {
  char own[64] = {};
  if (::readlink("/proc/self/ns/net", own, sizeof(own) - 1) < 0) return errno;
  return own == of_parent ? kWorked : ENOENT;
}

int MakeSocket(const std::string& family) {
  return Outcome(::socket(std::stoi(family), SOCK_DGRAM, 0));
}

int ReadFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY);
  char byte = 0;
  return fd < 0 ? errno : Outcome(::read(fd, &byte, 1));
}

int WriteFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT, 0644);
  return fd < 0 ? errno : Outcome(::write(fd, "x", 1));
}

int ListFolder(const std::string& path) { return ::opendir(path.c_str()) != nullptr ? 0 : errno; }

int Fork(const std::string&) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  return Outcome(pid);
}

int Threads(const std::string& count) {
  const auto sleep = [](void*) -> void* {
    ::pause();
    return nullptr;
  };
  for (int i = std::stoi(count); i > 0; --i) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 << 10);
    if (const int error = pthread_create(&thread, &attributes, sleep, nullptr); error != 0) {
      return error;
    }
  }
  return kWorked;
}

int Memory(const std::string& mebibytes) {
  for (int i = std::stoi(mebibytes); i > 0; --i) {
    void* piece = std::malloc(kMiB);
    if (piece == nullptr) return ENOMEM;
    std::memset(piece, 1, kMiB);
  }
  return kWorked;
}

int SharedMemory(const std::string&) {
  void* piece = ::mmap(nullptr, kMiB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return piece != MAP_FAILED ? kWorked : errno;
}

int BigFile(const std::string& mebibytes) {
  const int fd = ::open("big", O_WRONLY | O_CREAT, 0644);
  if (fd < 0) return errno;
  const std::vector<char> piece(kMiB);
  for (int i = std::stoi(mebibytes); i > 0; --i) {
    if (::write(fd, piece.data(), piece.size()) < 0) return errno;
  }
  return kWorked;
}

int Spin(const std::string& seconds) {
  const clock_t end = ::clock() + std::stoi(seconds) * CLOCKS_PER_SEC;
  while (::clock() < end) {
  }
  return kWorked;
}

int OpenFiles(const std::string& count) {
  for (int i = std::stoi(count); i > 0; --i) {
    if (::dup(STDERR_FILENO) < 0) return errno;
  }
  return kWorked;
}

// Seizing does not stop the parent, and ends with this process.
int TraceParent(const std::string&) {
  return Outcome(::ptrace(PTRACE_SEIZE, ::getppid(), nullptr, nullptr));
}

int ReadParent(const std::string& address) {
  char byte = 0;
  const iovec local{&byte, 1};
  const iovec remote{reinterpret_cast<void*>(std::stoull(address)), 1};
  return Outcome(::process_vm_readv(::getppid(), &local, 1, &remote, 1, 0));
}

int SignalParent(const std::string&) { return Outcome(::kill(::getppid(), 0)); }

int BecomeRoot(const std::string&) {
  const int result = Outcome(::setresuid(0, 0, 0));
  return result == kWorked && ::geteuid() != 0 ? EPERM : result;
}

int HaveCapabilities(const std::string&) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  ::syscall(SYS_capget, &header, sets.data());
  for (const auto& set : sets) {
    if (set.effective != 0 || set.permitted != 0 || set.inheritable != 0) return kWorked;
  }
  return ::prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 1 ? kWorked : EPERM;
}

int GainPrivileges(const std::string&) {
  return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 ? kWorked : EPERM;
}

int DumpCore(const std::string&) {
  rlimit limit{};
  ::getrlimit(RLIMIT_CORE, &limit);
  return limit.rlim_max != 0 ? kWorked : EPERM;
}

int RunProgram(const std::string& forbid) {
  if (forbid == "forbid" && !haq::server::sandbox::ForbidPrograms().ok()) return EINVAL;
  ::execl("/bin/true", "true", nullptr);
  return errno;
}

int SystemCall(const std::string& number) {
  return Outcome(::syscall(std::stol(number), 0, 0, 0, 0, 0, 0));
}

int SeeSecret(const std::string& name) { return std::getenv(name.c_str()) != nullptr ? 0 : ENOENT; }

using Attack = std::function<int(const std::string&)>;
const std::map<std::string, Attack> kAttacks = {
    {"big-file", BigFile},
    {"connect-tcp", ConnectTcp},
    {"dump-core", DumpCore},
    {"fork", Fork},
    {"gain-privileges", GainPrivileges},
    {"have-capabilities", HaveCapabilities},
    {"list-folder", ListFolder},
    {"memory", Memory},
    {"network-namespace", ShareNetwork},
    {"open-files", OpenFiles},
    {"read-file", ReadFile},
    {"read-parent", ReadParent},
    {"root", BecomeRoot},
    {"run", RunProgram},
    {"see-secret", SeeSecret},
    {"shared-memory", SharedMemory},
    {"signal-parent", SignalParent},
    {"socket", MakeSocket},
    {"spin", Spin},
    {"system-call", SystemCall},
    {"threads", Threads},
    {"trace-parent", TraceParent},
    {"write-file", WriteFile},
};

}  // namespace

int main(int argc, char** argv) {
  const auto attack = kAttacks.find(argc > 1 ? argv[1] : "");
  if (attack == kAttacks.end()) return 255;
  return attack->second(argc > 2 ? argv[2] : "");
}
