// Loads versions of models as they appear, on a thread of its own.
#pragma once

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/api/artifact_listener.h"
#include "server/serving/engine.h"
#include "server/serving/repository.h"

namespace haq::server::serving {

// Thread-safe. From OnVersionRegistered on, requests for the model wait for the new version; a
// version that cannot be loaded is logged, and the version before goes on answering.
class Loader : public api::ArtifactListener {
 public:
  // Both must outlive the loader.
  Loader(Repository& repository, Engine& engine);
  // As Stop().
  ~Loader() override;

  void OnVersionRegistered(const std::string& model_id, int64_t version,
                           const std::filesystem::path& path) override;
  void OnModelDeleted(const std::string& model_id) override;

  // True when nothing waits to be loaded.
  bool Idle() const;
  // Drops what waits to be loaded, and ends the thread. Idempotent.
  void Stop();

 private:
  struct Item {
    std::string model;
    int64_t version = 0;
    std::filesystem::path path;
  };

  void Run();
  void LoadOne(const Item& item);

  Repository& repository_;
  Engine& engine_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  // Guarded by mutex_.
  std::deque<Item> queue_;
  bool loading_ = false;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace haq::server::serving
