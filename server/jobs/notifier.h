// Who wants to know when something happens: streams that watch a job, calls that wait for work.
// Nobody polls.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace haq::server::jobs {

// Ends with its life: when the destructor has returned the callback does not run and will not run.
class Subscription {
 public:
  Subscription() = default;
  struct Slot;
  explicit Subscription(std::shared_ptr<Slot> slot) : slot_(std::move(slot)) {}
  Subscription(Subscription&&) noexcept = default;
  Subscription& operator=(Subscription&& other) noexcept;
  ~Subscription();

 private:
  std::shared_ptr<Slot> slot_;
};

// Thread-safe. Callbacks run in the thread that notifies; they only hand work on, and neither take
// locks that are held while a subscription ends nor end their own.
class Notifier {
 public:
  Subscription Subscribe(int64_t topic, std::function<void()> callback);
  void Notify(int64_t topic);
  void NotifyAll();

 private:
  void Call(const std::vector<std::shared_ptr<Subscription::Slot>>& slots);

  std::mutex mutex_;
  std::multimap<int64_t, std::weak_ptr<Subscription::Slot>> slots_;  // guarded by mutex_
};

}  // namespace haq::server::jobs
