#include "server/serving/scheduler.h"

#include <algorithm>
#include <utility>

namespace haq::server::serving {

Scheduler::Scheduler(const Options& options, RunBatch run)
    : options_(options), run_(std::move(run)), policy_(options.policy) {
  for (int i = 0; i < std::max(1, options_.threads); ++i) threads_.emplace_back([this] { Run(); });
}

Scheduler::~Scheduler() { Stop(); }

Result<Scheduler::Ticket> Scheduler::Submit(const std::string& model, const BatchPolicy::Item& item,
                                            Call& call) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return Unavailable("the server is stopping");
  HAQ_ASSIGN_OR_RETURN(const Ticket ticket, policy_.Submit(model, item, Clock::now()));
  calls_.emplace(ticket, std::move(call));
  Changed(model);
  wake_.notify_one();
  return ticket;
}

void Scheduler::Cancel(Ticket ticket) {
  Call call;
  {
    const std::lock_guard lock(mutex_);
    if (!policy_.Cancel(ticket)) return;
    call = Take(ticket);
    Changed(call.request->model);
  }
  call.done(Cancelled("the client gave the request up"));
}

void Scheduler::Hold(const std::string& model) {
  const std::lock_guard lock(mutex_);
  policy_.Hold(model);
}

void Scheduler::Release(const std::string& model) {
  const std::lock_guard lock(mutex_);
  policy_.Release(model);
  wake_.notify_all();
}

void Scheduler::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    policy_.Drain();
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

Call Scheduler::Take(Ticket ticket) {
  const auto found = calls_.find(ticket);
  Call call = std::move(found->second);
  calls_.erase(found);
  return call;
}

void Scheduler::Changed(const std::string& model) {
  if (options_.on_queue) options_.on_queue(model, policy_.waiting(model));
}

void Scheduler::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    const BatchPolicy::Decision decision = policy_.Next(Clock::now());
    if (!decision.expired.empty()) AnswerExpired(decision.expired, lock);
    if (!decision.batch.items.empty()) {
      RunOne(decision.batch, lock);
    } else if (!decision.expired.empty()) {
      continue;  // the lock was open meanwhile
    } else if (stopping_ && policy_.waiting() == 0) {
      return;
    } else if (decision.wake_at == BatchPolicy::Time::max()) {
      wake_.wait(lock);
    } else {
      wake_.wait_until(lock, decision.wake_at);
    }
  }
}

void Scheduler::RunOne(const BatchPolicy::Batch& batch, std::unique_lock<std::mutex>& lock) {
  std::vector<Call> calls;
  calls.reserve(batch.items.size());
  for (const Ticket ticket : batch.items) calls.push_back(Take(ticket));
  Changed(batch.model);
  // The rest may be another thread's, which slept while this batch filled.
  if (policy_.waiting() > 0) wake_.notify_one();
  lock.unlock();
  const auto start = Clock::now();
  run_(batch.model, std::move(calls));
  const auto cost = Clock::now() - start;
  lock.lock();
  policy_.Finished(batch, cost);
  // A batch of this model may have become runnable, and the thread that it needs may be asleep.
  wake_.notify_one();
  if (stopping_) wake_.notify_all();
}

void Scheduler::AnswerExpired(const std::vector<Ticket>& expired,
                              std::unique_lock<std::mutex>& lock) {
  std::vector<Call> calls;
  for (const Ticket ticket : expired) {
    calls.push_back(Take(ticket));
    Changed(calls.back().request->model);
  }
  lock.unlock();
  for (const Call& call : calls) {
    call.done(Status(StatusCode::kDeadlineExceeded,
                     "the deadline was over before the request could start"));
  }
  lock.lock();
}

}  // namespace haq::server::serving
