#include "server/auth/file_watcher.h"

#include <sys/stat.h>

namespace haq::server::auth {

FileWatcher::FileWatcher(std::vector<std::filesystem::path> files, std::chrono::milliseconds period,
                         std::function<void()> on_change)
    : files_(std::move(files)),
      period_(period),
      on_change_(std::move(on_change)),
      seen_(Look()),
      thread_([this] { Run(); }) {}

FileWatcher::~FileWatcher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stop_changed_.notify_all();
  thread_.join();
}

std::vector<FileWatcher::Stamp> FileWatcher::Look() const {
  std::vector<Stamp> stamps;
  for (const auto& file : files_) {
    struct stat info {};
    Stamp stamp;
    if (::stat(file.c_str(), &info) == 0) {
      stamp = {info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_size, info.st_ino};
    }
    stamps.push_back(stamp);
  }
  return stamps;
}

void FileWatcher::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_changed_.wait_for(lock, period_, [this] { return stop_; })) {
    lock.unlock();
    std::vector<Stamp> now = Look();
    if (now != seen_) {
      seen_ = std::move(now);
      on_change_();
    }
    lock.lock();
  }
}

}  // namespace haq::server::auth
