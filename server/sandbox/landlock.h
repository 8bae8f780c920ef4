// Landlock (Linux 5.13 and later): which files a process may open, without root.
#pragma once

#include <filesystem>

#include "core/base/status.h"
#include "server/store/descriptor.h"

namespace haq::server::sandbox {

// Rules that are collected here and put on by a child process, which may call nothing but what is
// safe between fork and exec.
class FileRules {
 public:
  // ENOSYS or EOPNOTSUPP in `error` when the kernel has no Landlock; the rules do nothing then.
  FileRules();

  int error() const { return error_; }
  // A folder with everything below it, or one file. What is not there needs no rule.
  void AllowReading(const std::filesystem::path& path);
  void AllowWriting(const std::filesystem::path& path);

  // For the calling thread and what it will start; 0 or an errno. /proc/self of the caller may be
  // read. Async-signal-safe. Needs no_new_privs.
  int RestrictSelf() const;

 private:
  void Allow(const std::filesystem::path& path, uint64_t access);

  int error_ = 0;
  uint64_t handled_ = 0;  // rights that this kernel knows
  store::Descriptor ruleset_;
};

}  // namespace haq::server::sandbox
