#include "server/worker/reporter.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace haq::server::worker {
namespace {

std::chrono::milliseconds HeartbeatOf(int64_t lease_ms) {
  return std::chrono::milliseconds(std::max<int64_t>(lease_ms / 3, 50));
}

}  // namespace

Reporter::Reporter(Link& link, proto::Lease lease, int64_t lease_ms, CancellationToken cancellation)
    : link_(link),
      lease_(std::move(lease)),
      cancellation_(std::move(cancellation)),
      heartbeat_(HeartbeatOf(lease_ms)),
      sent_at_(Clock::now() - kReportInterval),
      thread_([this] { Run(); }) {}

Reporter::~Reporter() { Stop(); }

void Reporter::OnProgress(const pipeline::Progress& progress) {
  const std::lock_guard lock(mutex_);
  buffer_.AddProgress(progress);
  changed_.notify_all();
}

void Reporter::OnAccuracy(const pipeline::Accuracy& accuracy) {
  const std::lock_guard lock(mutex_);
  buffer_.AddAccuracy(accuracy);
  changed_.notify_all();
}

void Reporter::OnLog(const std::string& level, const std::string& message) {
  const std::lock_guard lock(mutex_);
  buffer_.AddLog(level, message);
  changed_.notify_all();
}

Status Reporter::Flush() {
  std::unique_lock lock(mutex_);
  flush_ = true;
  changed_.notify_all();
  changed_.wait(lock, [this] { return stop_ || lost_ || (buffer_.empty() && !sending_); });
  flush_ = false;
  if (lost_) return FailedPrecondition("the lease of {} is lost", lease_.job());
  return {};
}

void Reporter::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

bool Reporter::cancel_requested() const {
  const std::lock_guard lock(mutex_);
  return cancel_requested_;
}

bool Reporter::lost() const {
  const std::lock_guard lock(mutex_);
  return lost_;
}

void Reporter::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_ && !lost_) {
    const auto now = Clock::now();
    const auto due = buffer_.empty() ? sent_at_ + heartbeat_ : sent_at_ + kReportInterval;
    if (now >= due || (flush_ && !buffer_.empty())) {
      Send(lock);
    } else {
      changed_.wait_until(lock, due);
    }
  }
}

// Called with the lock held, which the call to the server releases.
void Reporter::Send(std::unique_lock<std::mutex>& lock) {
  const std::vector<v1::JobEvent> events = buffer_.Take();
  sending_ = true;
  sent_at_ = Clock::now();
  lock.unlock();
  const auto response = link_.ReportEvents(lease_, events);
  lock.lock();
  sending_ = false;
  if (response.ok()) {
    heartbeat_ = HeartbeatOf(response->lease_ms());
    if (response->cancel_requested() && !cancel_requested_) {
      cancel_requested_ = true;
      cancellation_.Cancel();
    }
  } else {
    spdlog::warn("{}: the report was not accepted, the job is dropped: {}", lease_.job(),
                 response.status().ToString());
    lost_ = true;
    cancellation_.Cancel();
  }
  changed_.notify_all();
}

}  // namespace haq::server::worker
