// What a worker process may not do: the words for it. docs/worker.md says what each means.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace haq::server::sandbox {

enum class Mode {
  kAuto,     // whatever of it the machine allows
  kRequire,  // no worker starts unless all of it is on
  kOff,      // nothing
};

// 0 is no limit.
struct Limits {
  int64_t max_memory_bytes = int64_t{16} << 30;  // private memory: RLIMIT_DATA
  int64_t max_cpu_seconds = 604'800;             // of all threads together: RLIMIT_CPU
  int64_t max_threads = 1024;                    // of the worker's user: RLIMIT_NPROC
  int64_t max_file_bytes = int64_t{4} << 30;     // one file: RLIMIT_FSIZE
  int64_t max_open_files = 1024;                 // RLIMIT_NOFILE
};

struct Options {
  Mode mode = Mode::kAuto;
  std::string user = "nobody";  // name or number; counts only when this process runs as root
  Limits limits;
};

// In the order in which they are switched on.
enum class Mechanism : int {
  kNetworkNamespace,  // no network interface but a loopback that is down
  kUser,              // not root
  kCapabilities,      // none, and none to be had
  kNoNewPrivileges,   // set-user-id programs and the like give nothing
  kLimits,            // Limits, and no core files
  kLandlock,          // files: the worker's folder, and libraries to read
  kSeccomp,           // no sockets but Unix ones, no processes, no dangerous system calls
};
inline constexpr int kMechanisms = 7;

// "network_namespace", "user", ...: as in the metric haq_worker_isolation.
std::string_view NameOf(Mechanism mechanism);

// What came of each: plain data, so that a child process can make it.
struct Report {
  static constexpr int kOn = 0;
  static constexpr int kNotAsked = -1;
  std::array<int, kMechanisms> state{};  // kOn, kNotAsked, or the errno of the refusal

  static Report NothingAsked();
  int& operator[](Mechanism mechanism) { return state[static_cast<int>(mechanism)]; }
  int operator[](Mechanism mechanism) const { return state[static_cast<int>(mechanism)]; }
  // Nothing that kRequire asks for was refused. The network namespace is a second wall behind
  // seccomp, which refuses the sockets: containers often forbid the one and have the other.
  bool Complete() const;
  // "on: user, landlock, seccomp; refused: network_namespace (Operation not permitted)"
  std::string Describe() const;
};

}  // namespace haq::server::sandbox
