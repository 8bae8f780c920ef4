// The folder that holds everything a server keeps:
//
//   haq.sqlite     metadata         blobs/         finished blobs
//   uploads/       blobs coming in  checkpoints/   what jobs resume from
//   run/           the worker socket; lock         held while a server runs
#pragma once

#include <filesystem>

#include "core/base/status.h"
#include "server/store/descriptor.h"

namespace haq::server::store {

// One server at a time: holds the lock for its life.
class DataFolder {
 public:
  // Makes what is missing. kFailedPrecondition when it cannot be written to, or when another server
  // uses it; names the folder and the reason.
  static Result<DataFolder> Open(const std::filesystem::path& root);

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path database() const { return root_ / "haq.sqlite"; }
  std::filesystem::path blobs() const { return root_ / "blobs"; }
  std::filesystem::path uploads() const { return root_ / "uploads"; }
  std::filesystem::path checkpoints() const { return root_ / "checkpoints"; }
  // Each worker process has a folder here, with its name, beside the socket.
  std::filesystem::path worker_folders() const { return root_ / "run"; }
  // Those that a server which was killed left behind. kInternal when one cannot be removed.
  Status RemoveWorkerFolders() const;
  std::filesystem::path worker_socket() const { return root_ / "run" / "worker.sock"; }

 private:
  DataFolder(std::filesystem::path root, Descriptor lock)
      : root_(std::move(root)), lock_(std::move(lock)) {}

  std::filesystem::path root_;
  Descriptor lock_;
};

}  // namespace haq::server::store
