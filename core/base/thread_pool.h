// A fixed set of threads that run the pieces of one loop at a time.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace haq {

// ParallelFor may be called from one thread at a time. Idle threads sleep.
class ThreadPool {
 public:
  // `threads` counts the caller, which works too; <= 0 is one per core.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(index, thread) for every index in [0, count), each once, in any order; `thread` is
  // in [0, threads()) and no two calls with the same `thread` overlap. Returns when all are done;
  // an exception of a body is thrown again here, after the others ended.
  void ParallelFor(int64_t count, const std::function<void(int64_t index, int thread)>& body);

 private:
  void WorkerLoop(int thread);
  void RunPieces(int thread);

  std::vector<std::thread> workers_;

  std::mutex mutex_;
  std::condition_variable work_ready_, work_done_;
  // Guarded by mutex_.
  const std::function<void(int64_t, int)>* body_ = nullptr;
  int64_t next_ = 0, count_ = 0;
  int active_ = 0;
  uint64_t generation_ = 0;
  bool stop_ = false;
  std::exception_ptr failure_;
};

}  // namespace haq
