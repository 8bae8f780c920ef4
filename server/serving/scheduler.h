// The threads that inference runs on; BatchPolicy says what they do next.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "core/base/status.h"
#include "server/serving/batch_policy.h"
#include "server/serving/request.h"

namespace haq::server::serving {

// A request on its way through the server.
struct Call {
  // Called once, with the answer.
  using Done = std::function<void(Result<Response>)>;

  const Request* request = nullptr;  // stays until `done` was called
  Done done;
  std::chrono::steady_clock::time_point arrival;
};

class Scheduler {
 public:
  using Clock = std::chrono::steady_clock;
  using Ticket = BatchPolicy::Id;
  // Answers every call of the batch, on the thread that calls it.
  using RunBatch = std::function<void(const std::string& model, std::vector<Call> calls)>;
  struct Options {
    int threads = 1;
    BatchPolicy::Options policy = {};
    // Called under a lock, with every change of what waits for `model`.
    std::function<void(const std::string& model, size_t waiting)> on_queue = {};
  };

  Scheduler(const Options& options, RunBatch run);
  // As Stop().
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  int threads() const { return static_cast<int>(threads_.size()); }

  // Gives `call` to `run`, or answers it with kDeadlineExceeded, or (after Cancel) kCancelled.
  // Fails as BatchPolicy::Submit, and with kUnavailable after Stop: then `call` is untouched.
  Result<Ticket> Submit(const std::string& model, const BatchPolicy::Item& item, Call& call);
  // Answers a call that still waits at once. A ticket of a call that runs or ran does nothing.
  void Cancel(Ticket ticket);

  void Hold(const std::string& model);
  void Release(const std::string& model);

  // Accepts nothing more, runs what waits (held models too) and ends the threads. Idempotent.
  void Stop();

 private:
  void Run();
  void RunOne(const BatchPolicy::Batch& batch, std::unique_lock<std::mutex>& lock);
  void AnswerExpired(const std::vector<Ticket>& expired, std::unique_lock<std::mutex>& lock);
  Call Take(Ticket ticket);
  void Changed(const std::string& model);

  const Options options_;
  const RunBatch run_;
  std::vector<std::thread> threads_;

  std::mutex mutex_;
  std::condition_variable wake_;
  // Guarded by mutex_.
  BatchPolicy policy_;
  std::unordered_map<Ticket, Call> calls_;  // that wait
  bool stopping_ = false;
};

}  // namespace haq::server::serving
