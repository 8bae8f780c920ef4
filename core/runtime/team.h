// Threads that run the same function side by side, step by step. For the sources of this folder.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace haq::runtime {

// Idle threads sleep. During a run, threads that wait for each other spin for some microseconds
// before they sleep. On Linux each thread keeps to a processor of its own, none of them the
// caller's, as long as there are enough.
class Team {
 public:
  // `threads` counts the caller.
  explicit Team(int threads);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(context, thread) on every thread, the caller's being thread 0; returns when all have
  // returned. One run at a time. Allocates nothing.
  using Body = void (*)(void* context, int thread);
  void Run(Body body, void* context);

  // Returns when every thread of the run has called it. What one thread wrote before, all see
  // after.
  void Barrier();

 private:
  void WorkerLoop(int thread);
  void Place();

  std::vector<std::thread> workers_;
  int caller_cpu_ = -1;  // that the workers' places were chosen for

  // Written by the caller between runs.
  Body body_ = nullptr;
  void* context_ = nullptr;

  std::atomic<uint32_t> run_{0};  // counts runs
  std::atomic<bool> stop_{false};
  alignas(64) std::atomic<uint32_t> arrived_{0};
  alignas(64) std::atomic<uint32_t> phase_{0};
};

}  // namespace haq::runtime
