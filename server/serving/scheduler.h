// The threads that inference runs on, and the bounded queue before them.
//
// Tasks start in the order in which they came, but a task whose key runs at its limit, or is held,
// lets others pass. So a busy or loading model never keeps a thread that another could use.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/status.h"

namespace haq::server::serving {

class Scheduler {
 public:
  using Task = std::function<void()>;
  struct Options {
    int threads = 1;
    int per_key = 1;  // tasks of one key that run at a time
    size_t max_queue = 256;
    size_t max_queue_bytes = size_t{512} << 20;
    std::function<void(size_t waiting)> on_queue;  // called under a lock, with every change
  };

  explicit Scheduler(Options options);
  // As Stop().
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  int threads() const { return static_cast<int>(threads_.size()); }

  // Runs `task` on one of the threads, once. kResourceExhausted when the queue is full (a single
  // task that is larger than the byte limit may wait in an empty queue), kUnavailable after Stop;
  // then `task` is not called.
  Status Submit(const std::string& key, size_t bytes, Task task);

  // Tasks of `key` wait until as many Release calls followed.
  void Hold(const std::string& key);
  void Release(const std::string& key);

  // Accepts nothing more, runs what waits (held keys too) and ends the threads. Idempotent.
  void Stop();

 private:
  struct Waiting {
    std::string key;
    size_t bytes = 0;
    Task task;
  };
  struct Key {
    int running = 0;
    int held = 0;
  };

  void Run();
  bool Runnable(const std::string& key) const;
  bool TakeRunnable(Waiting& taken);
  void Changed();

  const Options options_;
  std::vector<std::thread> threads_;

  std::mutex mutex_;
  std::condition_variable wake_;
  // Guarded by mutex_.
  std::deque<Waiting> queue_;
  size_t queue_bytes_ = 0;
  std::map<std::string, Key> keys_;  // with something running or held
  bool stopping_ = false;
};

}  // namespace haq::server::serving
