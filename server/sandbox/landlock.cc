#include "server/sandbox/landlock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace haq::server::sandbox {
namespace {

// The kernel's interface (its Documentation/userspace-api/landlock.rst): the headers of the build
// machine may be older than the kernel that the program meets.
struct RulesetAttributes {
  uint64_t handled_access_fs = 0;
  uint64_t handled_access_net = 0;  // version 4
  uint64_t scoped = 0;              // version 6
};
struct __attribute__((packed)) PathAttributes {
  uint64_t allowed_access = 0;
  int32_t parent_fd = -1;
};
constexpr uint32_t kAskForVersion = 1;
constexpr int kRulePathBeneath = 1;

constexpr uint64_t kExecute = 1 << 0, kWriteFile = 1 << 1, kReadFile = 1 << 2, kReadDir = 1 << 3;
constexpr uint64_t kTruncate = 1 << 14, kIoctlDevice = 1 << 15;
constexpr uint64_t kOfFiles = kExecute | kWriteFile | kReadFile | kTruncate | kIoctlDevice;
constexpr uint64_t kReading = kExecute | kReadFile | kReadDir;
// Everything that version 1 knows: bits 0 to 12.
constexpr uint64_t kVersion1 = (1 << 13) - 1;
// Files of the worker's folder cannot be run, and no devices made there (bits 6 and 11).
constexpr uint64_t kWriting =
    (kVersion1 | kTruncate) & ~(kExecute | uint64_t{1} << 6 | uint64_t{1} << 11);

uint64_t HandledBy(long version) {
  uint64_t handled = kVersion1;
  if (version >= 2) handled |= 1 << 13;  // moving files between folders
  if (version >= 3) handled |= kTruncate;
  if (version >= 5) handled |= kIoctlDevice;
  return handled;
}

int AddRule(int ruleset, int path, uint64_t access) {
  const PathAttributes rule{access, path};
  return syscall(SYS_landlock_add_rule, ruleset, kRulePathBeneath, &rule, 0) == 0 ? 0 : errno;
}

}  // namespace

FileRules::FileRules() {
  const long version = syscall(SYS_landlock_create_ruleset, nullptr, 0, kAskForVersion);
  if (version < 0) {
    error_ = errno;
    return;
  }
  RulesetAttributes attributes;
  attributes.handled_access_fs = handled_ = HandledBy(version);
  size_t size = sizeof(uint64_t);
  if (version >= 4) {
    // Binding and connecting TCP sockets; nothing is allowed back.
    attributes.handled_access_net = 0b11;
    size = 2 * sizeof(uint64_t);
  }
  if (version >= 6) {
    // Abstract Unix sockets of, and signals to, processes outside.
    attributes.scoped = 0b11;
    size = 3 * sizeof(uint64_t);
  }
  ruleset_ = store::Descriptor(
      static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, size, 0)));
  if (!ruleset_.valid()) error_ = errno;
}

void FileRules::AllowReading(const std::filesystem::path& path) { Allow(path, kReading); }

void FileRules::AllowWriting(const std::filesystem::path& path) {
  Allow(path, kWriting | kReadFile | kReadDir);
}

void FileRules::Allow(const std::filesystem::path& path, uint64_t access) {
  if (error_ != 0) return;
  const store::Descriptor file(::open(path.c_str(), O_PATH | O_CLOEXEC));
  struct stat info {};
  if (!file.valid() || ::fstat(file.get(), &info) != 0) {
    if (errno != ENOENT) error_ = errno;
    return;
  }
  if (!S_ISDIR(info.st_mode)) access &= kOfFiles;
  error_ = AddRule(ruleset_.get(), file.get(), access & handled_);
}

int FileRules::RestrictSelf() const {
  if (error_ != 0) return error_;
  const int self = ::open("/proc/self", O_PATH | O_CLOEXEC);
  if (self >= 0) {
    const int error = AddRule(ruleset_.get(), self, (kReadFile | kReadDir) & handled_);
    ::close(self);
    if (error != 0) return error;
  }
  return syscall(SYS_landlock_restrict_self, ruleset_.get(), 0) == 0 ? 0 : errno;
}

}  // namespace haq::server::sandbox
