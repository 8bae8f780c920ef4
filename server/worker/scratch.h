// The worker's files on disk: one folder per job, gone with it.
#pragma once

#include <filesystem>
#include <memory>

#include "core/base/status.h"

namespace haq::server::worker {

// A folder `parent`/haq-worker-<pid>-XXXXXX that is removed with the object.
class ScratchFolder {
 public:
  // kFailedPrecondition when `parent` cannot be written.
  static Result<std::unique_ptr<ScratchFolder>> Make(const std::filesystem::path& parent);
  explicit ScratchFolder(std::filesystem::path path) : path_(std::move(path)) {}
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Removes the folders of workers that died without doing so; how many.
int RemoveAbandonedScratch(const std::filesystem::path& parent);

}  // namespace haq::server::worker
