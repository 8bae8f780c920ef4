#include "server/serving/loader.h"

#include <chrono>
#include <utility>

#include "server/log/fields.h"

namespace haq::server::serving {

Loader::Loader(Repository& repository, Engine& engine)
    : repository_(repository), engine_(engine), thread_([this] { Run(); }) {}

Loader::~Loader() { Stop(); }

void Loader::Enqueue(Item item) {
  engine_.Hold(item.model);
  repository_.Announce(item.model, item.version);
  queue_.push_back(std::move(item));
}

void Loader::OnVersionRegistered(const std::string& model_id, int64_t version,
                                 const std::filesystem::path& path) {
  {
    const std::lock_guard lock(mutex_);
    Item item{model_id, version, path, {}};
    served_[model_id] = item;
    Enqueue(std::move(item));
  }
  wake_.notify_one();
}

void Loader::OnModelDeleted(const std::string& model_id) {
  const std::lock_guard lock(mutex_);
  served_.erase(model_id);
  repository_.Remove(model_id);
}

void Loader::Load(const std::string& model, Done done) {
  Status failure;
  {
    const std::lock_guard lock(mutex_);
    const auto found = served_.find(model);
    if (stopping_) {
      failure = Unavailable("the server is stopping");
    } else if (found == served_.end()) {
      failure = NoSuchModel(model);
    } else {
      Item item = found->second;
      item.done = done;
      Enqueue(std::move(item));
    }
  }
  if (!failure.ok()) return done(failure);
  wake_.notify_one();
}

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
    const Status status = LoadOne(item);
    engine_.Release(item.model);
    if (item.done) item.done(status);
    lock.lock();
    loading_ = false;
    if (!queue_.empty() || !on_idle_) continue;
    lock.unlock();
    on_idle_();
    lock.lock();
  }
  std::deque<Item> dropped;
  dropped.swap(queue_);
  lock.unlock();
  for (const Item& item : dropped) {
    engine_.Release(item.model);
    if (item.done) item.done(Unavailable("the server is stopping"));
  }
}

Status Loader::LoadOne(const Item& item) {
  const auto start = std::chrono::steady_clock::now();
  const Status status = repository_.Load(item.model, item.version, item.path);
  const double ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  if (status.ok()) {
    log::Write(spdlog::level::info,
               {{"model", item.model}, {"version", std::to_string(item.version)}},
               fmt::format("serving: version {} of model '{}' loaded in {:.0f} ms", item.version,
                           item.model, ms));
  } else {
    log::Write(spdlog::level::err,
               {{"model", item.model}, {"version", std::to_string(item.version)}},
               fmt::format("serving: {}", status.ToString()));
  }
  return status;
}

}  // namespace haq::server::serving
