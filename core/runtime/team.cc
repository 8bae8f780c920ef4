#include "core/runtime/team.h"

#include <sched.h>

namespace haq::runtime {
namespace {

// About 20 microseconds: longer than a layer's shares differ when every thread has a processor.
constexpr int kSpins = 1000;

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Returns when `value` is no longer `old`.
void AwaitChange(const std::atomic<uint32_t>& value, uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    Pause();
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

Team::Team(int threads) {
  for (int thread = 1; thread < threads; ++thread) {
    workers_.emplace_back([this, thread] { WorkerLoop(thread); });
  }
}

Team::~Team() {
  stop_.store(true, std::memory_order_relaxed);
  run_.fetch_add(1, std::memory_order_seq_cst);
  run_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void Team::Run(Body body, void* context) {
  if (workers_.empty()) return body(context, 0);
  Place();
  body_ = body;
  context_ = context;
  run_.fetch_add(1, std::memory_order_seq_cst);
  run_.notify_all();
  body(context, 0);
  Barrier();
}

void Team::Barrier() {
  const auto count = static_cast<uint32_t>(threads());
  if (count == 1) return;
  const uint32_t phase = phase_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == count) {
    arrived_.store(0, std::memory_order_relaxed);
    // A full barrier, not a release: notify_all must not look for sleepers before the new phase can
    // be seen.
    phase_.fetch_add(1, std::memory_order_seq_cst);
    phase_.notify_all();
  } else {
    AwaitChange(phase_, phase);
  }
}

void Team::WorkerLoop(int thread) {
  for (uint32_t seen = 0;; ++seen) {
    run_.wait(seen, std::memory_order_acquire);
    if (stop_.load(std::memory_order_relaxed)) return;
    body_(context_, thread);
    Barrier();
  }
}

// A worker on the caller's processor would take turns with it, so places change when the caller
// was moved.
void Team::Place() {
  const int cpu = sched_getcpu();
  if (cpu < 0 || cpu == caller_cpu_) return;
  caller_cpu_ = cpu;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return;
  if (CPU_COUNT(&allowed) < threads()) return;
  int place = 0;
  for (std::thread& worker : workers_) {
    while (!CPU_ISSET(place, &allowed) || place == cpu) ++place;
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET(place++, &own);
    // Where it fails, the scheduler's choice stands.
    pthread_setaffinity_np(worker.native_handle(), sizeof(own), &own);
  }
}

}  // namespace haq::runtime
