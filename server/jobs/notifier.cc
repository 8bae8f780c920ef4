#include "server/jobs/notifier.h"

#include <utility>

namespace haq::server::jobs {

struct Subscription::Slot {
  std::mutex mutex;
  std::function<void()> callback;  // guarded by mutex; empty once the subscription ended
};

Subscription& Subscription::operator=(Subscription&& other) noexcept {
  std::swap(slot_, other.slot_);
  return *this;
}

Subscription::~Subscription() {
  if (!slot_) return;
  std::function<void()> callback;
  const std::lock_guard lock(slot_->mutex);
  // Destroyed after the lock is released: what it captured may end other subscriptions.
  std::swap(callback, slot_->callback);
}

Subscription Notifier::Subscribe(int64_t topic, std::function<void()> callback) {
  auto slot = std::make_shared<Subscription::Slot>();
  slot->callback = std::move(callback);
  const std::lock_guard lock(mutex_);
  for (auto it = slots_.lower_bound(topic); it != slots_.end() && it->first == topic;) {
    it = it->second.expired() ? slots_.erase(it) : std::next(it);
  }
  slots_.emplace(topic, slot);
  return Subscription(std::move(slot));
}

void Notifier::Call(const std::vector<std::shared_ptr<Subscription::Slot>>& slots) {
  for (const auto& slot : slots) {
    const std::lock_guard lock(slot->mutex);
    if (slot->callback) slot->callback();
  }
}

void Notifier::Notify(int64_t topic) {
  std::vector<std::shared_ptr<Subscription::Slot>> slots;
  {
    const std::lock_guard lock(mutex_);
    for (auto it = slots_.lower_bound(topic); it != slots_.end() && it->first == topic;) {
      if (auto slot = it->second.lock()) {
        slots.push_back(std::move(slot));
        ++it;
      } else {
        it = slots_.erase(it);
      }
    }
  }
  Call(slots);
}

void Notifier::NotifyAll() {
  std::vector<std::shared_ptr<Subscription::Slot>> slots;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [topic, weak] : slots_) {
      if (auto slot = weak.lock()) slots.push_back(std::move(slot));
    }
  }
  Call(slots);
}

}  // namespace haq::server::jobs
