// A few threads for the work that gRPC's own threads must not do: files, databases, decoding.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace haq::server::api {

// Thread-safe. Tasks start in the order in which they came.
class Executor {
 public:
  // At most `max_waiting` tasks wait in TrySubmit's share of the queue.
  Executor(int threads, size_t max_waiting);
  // Runs what was submitted, then returns.
  ~Executor();

  // False when too many tasks wait: the caller should be told to come back.
  bool TrySubmit(std::function<void()> task);
  // For follow-up work of calls that were accepted already.
  void Submit(std::function<void()> task);

 private:
  void Run();

  const size_t max_waiting_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;  // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace haq::server::api
