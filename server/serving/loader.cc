#include "server/serving/loader.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

namespace haq::server::serving {

Loader::Loader(Repository& repository, Engine& engine)
    : repository_(repository), engine_(engine), thread_([this] { Run(); }) {}

Loader::~Loader() { Stop(); }

void Loader::OnVersionRegistered(const std::string& model_id, int64_t version,
                                 const std::filesystem::path& path) {
  engine_.Hold(model_id);
  repository_.Announce(model_id, version);
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back({model_id, version, path});
  }
  wake_.notify_one();
}

void Loader::OnModelDeleted(const std::string& model_id) { repository_.Unload(model_id); }

bool Loader::Idle() const {
  const std::lock_guard lock(mutex_);
  return queue_.empty() && !loading_;
}

void Loader::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Loader::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) break;
    const Item item = std::move(queue_.front());
    queue_.pop_front();
    loading_ = true;
    lock.unlock();
    LoadOne(item);
    engine_.Release(item.model);
    lock.lock();
    loading_ = false;
  }
  for (const Item& item : queue_) engine_.Release(item.model);
  queue_.clear();
}

void Loader::LoadOne(const Item& item) {
  const auto start = std::chrono::steady_clock::now();
  const Status status = repository_.Load(item.model, item.version, item.path);
  const double ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  if (status.ok()) {
    spdlog::info("serving: version {} of model '{}' loaded in {:.0f} ms", item.version, item.model,
                 ms);
  } else {
    spdlog::error("serving: {}", status.ToString());
  }
}

}  // namespace haq::server::serving
