#include "server/serving/scheduler.h"

#include <algorithm>
#include <utility>

namespace haq::server::serving {

Scheduler::Scheduler(Options options) : options_(std::move(options)) {
  for (int i = 0; i < std::max(1, options_.threads); ++i) threads_.emplace_back([this] { Run(); });
}

Scheduler::~Scheduler() { Stop(); }

Status Scheduler::Submit(const std::string& key, size_t bytes, Task task) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return Unavailable("the server is stopping");
  if (queue_.size() >= options_.max_queue) {
    return ResourceExhausted("{} requests wait already, which is the limit (--max-queue)",
                             queue_.size());
  }
  if (!queue_.empty() && queue_bytes_ + bytes > options_.max_queue_bytes) {
    return ResourceExhausted(
        "requests of {} bytes wait already; with this one of {} bytes it would be more than the "
        "limit of {} bytes (--max-queue-bytes)",
        queue_bytes_, bytes, options_.max_queue_bytes);
  }
  queue_.push_back({key, bytes, std::move(task)});
  queue_bytes_ += bytes;
  Changed();
  wake_.notify_one();
  return {};
}

void Scheduler::Hold(const std::string& key) {
  const std::lock_guard lock(mutex_);
  ++keys_[key].held;
}

void Scheduler::Release(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = keys_.find(key);
  if (found == keys_.end() || found->second.held == 0) return;
  if (--found->second.held == 0 && found->second.running == 0) keys_.erase(found);
  wake_.notify_all();
}

void Scheduler::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

bool Scheduler::Runnable(const std::string& key) const {
  const auto found = keys_.find(key);
  if (found == keys_.end()) return true;
  return found->second.running < std::max(1, options_.per_key) &&
         (stopping_ || found->second.held == 0);
}

bool Scheduler::TakeRunnable(Waiting& taken) {
  const auto found = std::find_if(queue_.begin(), queue_.end(),
                                  [this](const Waiting& waiting) { return Runnable(waiting.key); });
  if (found == queue_.end()) return false;
  taken = std::move(*found);
  queue_.erase(found);
  queue_bytes_ -= taken.bytes;
  ++keys_[taken.key].running;
  Changed();
  return true;
}

void Scheduler::Changed() {
  if (options_.on_queue) options_.on_queue(queue_.size());
}

void Scheduler::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    Waiting taken;
    if (TakeRunnable(taken)) {
      lock.unlock();
      taken.task();
      taken.task = nullptr;  // what it owns goes without the lock
      lock.lock();
      const auto found = keys_.find(taken.key);
      if (--found->second.running == 0 && found->second.held == 0) keys_.erase(found);
      // A task of this key may have become runnable, and the thread that it needs may be asleep.
      wake_.notify_one();
      continue;
    }
    if (stopping_ && queue_.empty()) return;
    wake_.wait(lock);
  }
}

}  // namespace haq::server::serving
