// Loads versions of models as they appear, on a thread of its own.
#pragma once

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
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
  void OnFigures(const std::string&, const api::ServedFigures&) override {}
  void OnModelDeleted(const std::string& model_id) override;

  // Loads the served version of a model again; `done` is called with the result, on the loader's
  // thread or before this returns: as Repository::Load, kNotFound for a model that has no served
  // version, kUnavailable after Stop.
  using Done = std::function<void(const Status&)>;
  void Load(const std::string& model, Done done);
  // Takes the model out of service until Load, a new version, or the server's next start.
  Status Unload(const std::string& model) { return repository_.Unload(model); }

  // Called on the loader's thread whenever nothing waits to be loaded any more. Set it before
  // anything is loaded.
  void SetOnIdle(std::function<void()> on_idle) { on_idle_ = std::move(on_idle); }

  // True when nothing waits to be loaded.
  bool Idle() const;
  // Drops what waits to be loaded, and ends the thread. Idempotent.
  void Stop();

 private:
  struct Item {
    std::string model;
    int64_t version = 0;
    std::filesystem::path path;
    Done done;  // may be empty
  };

  void Run();
  Status LoadOne(const Item& item);
  // The caller holds mutex_.
  void Enqueue(Item item);

  Repository& repository_;
  Engine& engine_;
  std::function<void()> on_idle_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  // Guarded by mutex_.
  std::deque<Item> queue_;
  std::map<std::string, Item> served_;  // what each model shall serve
  bool loading_ = false;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace haq::server::serving
