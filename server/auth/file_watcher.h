// Tells when files change.
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace haq::server::auth {

// Looks at the files' times, sizes and inodes every `period`, and calls `on_change` on its own
// thread after one of them changed since the look before. Looking works where notifications do not:
// for files that are replaced, behind symbolic links (mounted secrets), and on network folders.
class FileWatcher {
 public:
  FileWatcher(std::vector<std::filesystem::path> files, std::chrono::milliseconds period,
              std::function<void()> on_change);
  // After it returns `on_change` is not called any more.
  ~FileWatcher();
  FileWatcher(const FileWatcher&) = delete;
  FileWatcher& operator=(const FileWatcher&) = delete;

 private:
  struct Stamp {
    int64_t seconds = 0, nanoseconds = 0, size = -1;
    uint64_t inode = 0;
    bool operator==(const Stamp&) const = default;
  };
  std::vector<Stamp> Look() const;
  void Run();

  const std::vector<std::filesystem::path> files_;
  const std::chrono::milliseconds period_;
  const std::function<void()> on_change_;

  std::mutex mutex_;
  std::condition_variable stop_changed_;
  bool stop_ = false;  // guarded by mutex_

  std::vector<Stamp> seen_;  // of the thread
  std::thread thread_;
};

}  // namespace haq::server::auth
