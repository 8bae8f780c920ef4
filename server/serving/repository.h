// Which models are served: one version of each, swapped without dropping requests.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "server/metrics/metrics.h"
#include "server/serving/served_model.h"
#include "server/serving/settings.h"

namespace haq::server::serving {

struct ModelStatus {
  enum class State {
    kLoading,   // announced; nothing answers yet, or the version before does
    kReady,     // answers requests
    kFailed,    // the newest version could not be loaded; `reason` says why
    kUnloaded,  // somebody asked for it: nothing answers
  };
  std::string name;
  int64_t version = 0;  // the announced one
  State state = State::kLoading;
  int64_t ready_version = 0;  // that answers requests; 0: none
  std::string reason;
};

// Thread-safe.
class Repository {
 public:
  // `metrics` must outlive the repository.
  Repository(const Settings& settings, metrics::Metrics& metrics);

  // `version` is what `model` shall serve from now on; the version before answers until it is
  // loaded.
  void Announce(const std::string& model, int64_t version);
  // Loads an announced version. A version that is not the newest announced one any more is dropped
  // (OK). A failure is remembered, and the version before, if there is one, goes on answering.
  Status Load(const std::string& model, int64_t version, const std::filesystem::path& path);
  // Requests that run keep their version; new ones are kUnavailable until it is announced again.
  // kNotFound for a model that was never announced.
  Status Unload(const std::string& model);
  // The model is gone: new requests are kNotFound.
  void Remove(const std::string& model);

  // The version that answers; `version` empty is any. kNotFound names the model, or the version and
  // the one that is served; kUnavailable while it is loaded, and with the reason when that failed.
  Result<std::shared_ptr<const ServedModel>> Acquire(const std::string& model,
                                                     const std::string& version) const;
  bool Knows(const std::string& model) const;
  std::vector<ModelStatus> List() const;
  // Of the versions that answer and are watched for it.
  std::vector<metrics::ModelClipping> Clipping() const;

 private:
  struct Entry {
    ModelStatus status;
    std::shared_ptr<const ServedModel> ready;
  };

  // The caller holds mutex_, and releases what is returned after it.
  std::shared_ptr<const ServedModel> TakeReady(Entry& entry);

  const Settings settings_;
  metrics::Metrics& metrics_;

  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;  // guarded by mutex_
};

// kNotFound when `version` is neither empty nor the model's.
Status CheckVersion(const ServedModel& model, const std::string& version);

// kNotFound of a model that is not served.
Status NoSuchModel(const std::string& model);

}  // namespace haq::server::serving
