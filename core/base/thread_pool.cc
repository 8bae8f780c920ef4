#include "core/base/thread_pool.h"

#include <algorithm>
#include <utility>

namespace haq {

ThreadPool::ThreadPool(int threads) {
  if (threads <= 0) threads = static_cast<int>(std::thread::hardware_concurrency());
  for (int thread = 1; thread < threads; ++thread) {
    workers_.emplace_back([this, thread] { WorkerLoop(thread); });
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_ready_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::ParallelFor(int64_t count, const std::function<void(int64_t, int)>& body) {
  {
    std::lock_guard lock(mutex_);
    body_ = &body;
    next_ = 0;
    count_ = count;
    failure_ = nullptr;
    ++generation_;
  }
  if (count > 1) work_ready_.notify_all();
  RunPieces(0);
  std::unique_lock lock(mutex_);
  work_done_.wait(lock, [this] { return active_ == 0; });
  body_ = nullptr;
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void ThreadPool::WorkerLoop(int thread) {
  uint64_t seen = 0;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      work_ready_.wait(lock, [&] { return stop_ || (generation_ != seen && next_ < count_); });
      if (stop_) return;
      seen = generation_;
    }
    RunPieces(thread);
  }
}

void ThreadPool::RunPieces(int thread) {
  std::unique_lock lock(mutex_);
  ++active_;
  while (next_ < count_) {
    const int64_t index = next_++;
    const auto* body = body_;
    lock.unlock();
    std::exception_ptr failure;
    try {
      (*body)(index, thread);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure) {
      failure_ = failure;
      next_ = count_;
    }
  }
  if (--active_ == 0) work_done_.notify_all();
}

}  // namespace haq
