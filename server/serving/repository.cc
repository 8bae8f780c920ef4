#include "server/serving/repository.h"

#include <utility>

namespace haq::server::serving {

Status NoSuchModel(const std::string& model) {
  Status status = NotFound(
      "model_name: no model '{}' is served; a model is served once a calibration job of it "
      "succeeded",
      model);
  return status.AddField("model_name", "no such model is served");
}

Status CheckVersion(const ServedModel& model, const std::string& version) {
  if (version.empty() || version == std::to_string(model.version())) return {};
  Status status = NotFound("model_version: version '{}' of model '{}' is not served; '{}' is",
                           version, model.name(), model.version());
  return status.AddField("model_version", "no such version is served");
}

Repository::Repository(const Settings& settings, metrics::Metrics& metrics)
    : settings_(settings), metrics_(metrics) {}

void Repository::Announce(const std::string& model, int64_t version) {
  const std::lock_guard lock(mutex_);
  ModelStatus& status = entries_[model].status;
  status.name = model;
  status.version = version;
  status.state = ModelStatus::State::kLoading;
  status.reason.clear();
}

Status Repository::Load(const std::string& model, int64_t version,
                        const std::filesystem::path& path) {
  auto loaded = ServedModel::Load(model, version, path, settings_, metrics_);
  // The old version is released after the lock: the last reference unmaps its file.
  std::shared_ptr<const ServedModel> old;
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(model);
  if (found == entries_.end() || found->second.status.version != version ||
      found->second.status.state == ModelStatus::State::kUnloaded) {
    return {};
  }
  Entry& entry = found->second;
  if (!loaded.ok()) {
    entry.status.state = ModelStatus::State::kFailed;
    entry.status.reason = loaded.status().message();
    return loaded.status();
  }
  old = std::exchange(entry.ready, *std::move(loaded));
  entry.status.state = ModelStatus::State::kReady;
  entry.status.ready_version = version;
  metrics_.AddModel(model);
  return {};
}

std::shared_ptr<const ServedModel> Repository::TakeReady(Entry& entry) {
  if (entry.ready != nullptr) metrics_.RemoveModel(entry.status.name);
  entry.status.ready_version = 0;
  return std::move(entry.ready);
}

Status Repository::Unload(const std::string& model) {
  std::shared_ptr<const ServedModel> old;
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(model);
  if (found == entries_.end()) return NoSuchModel(model);
  old = TakeReady(found->second);
  found->second.status.state = ModelStatus::State::kUnloaded;
  found->second.status.reason = "unloaded";
  return {};
}

void Repository::Remove(const std::string& model) {
  std::shared_ptr<const ServedModel> old;
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(model);
  if (found == entries_.end()) return;
  old = TakeReady(found->second);
  entries_.erase(found);
}

Result<std::shared_ptr<const ServedModel>> Repository::Acquire(const std::string& model,
                                                               const std::string& version) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(model);
  if (found == entries_.end()) return NoSuchModel(model);
  const Entry& entry = found->second;
  if (entry.ready == nullptr) {
    if (entry.status.state == ModelStatus::State::kUnloaded) {
      return Unavailable("model '{}' was unloaded; it answers once it is loaded again", model);
    }
    if (entry.status.state == ModelStatus::State::kFailed) {
      return Unavailable("model '{}' could not be loaded: {}", model, entry.status.reason);
    }
    return Unavailable("model '{}' is being loaded", model);
  }
  HAQ_RETURN_IF_ERROR(CheckVersion(*entry.ready, version));
  return entry.ready;
}

bool Repository::Knows(const std::string& model) const {
  const std::lock_guard lock(mutex_);
  return entries_.contains(model);
}

std::vector<metrics::ModelClipping> Repository::Clipping() const {
  std::vector<std::shared_ptr<const ServedModel>> served;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, entry] : entries_) {
      if (entry.ready != nullptr) served.push_back(entry.ready);
    }
  }
  const auto now = ClippingMonitor::Time::clock::now();
  std::vector<metrics::ModelClipping> clipping;
  for (const auto& model : served) {
    if (model->clipping() == nullptr) continue;
    clipping.push_back(model->clipping()->Figures(model->name(), model->version(), now));
  }
  return clipping;
}

std::vector<ModelStatus> Repository::List() const {
  const std::lock_guard lock(mutex_);
  std::vector<ModelStatus> list;
  for (const auto& [name, entry] : entries_) list.push_back(entry.status);
  return list;
}

}  // namespace haq::server::serving
