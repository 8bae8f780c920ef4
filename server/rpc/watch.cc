#include "server/rpc/watch.h"

#include "server/rpc/unary.h"

namespace haq::server::rpc {
namespace {

constexpr int64_t kEventsAtOnce = 256;

}  // namespace

WatchReactor* WatchReactor::Start(api::Service& service, const haq::v1::WatchJobRequest& request) {
  const std::shared_ptr<WatchReactor> reactor(new WatchReactor(service, request));
  reactor->self_ = reactor;
  const bool submitted = service.executor().TrySubmit([reactor] { reactor->Prepare(); });
  if (!submitted) reactor->End(Busy());
  return reactor.get();
}

void WatchReactor::Prepare() {
  const Result<int64_t> job = service_.calibration_jobs().PrepareWatch(request_);
  if (!job.ok()) return End(job.status());
  job_ = *job;
  next_sequence_ = request_.from_sequence();
  // Before the first look, so that nothing falls between.
  subscription_ = service_.queue().OnEvents(job_, [weak = weak_from_this()] {
    if (const auto reactor = weak.lock()) reactor->Wake();
  });
  Pump();
}

// From the thread that stored an event: hands the work on.
void WatchReactor::Wake() {
  {
    const std::lock_guard lock(mutex_);
    dirty_ = true;
    if (busy_) return;
    busy_ = true;
  }
  service_.executor().Submit([self = shared_from_this()] { self->Pump(); });
}

void WatchReactor::OnCancel() {
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
  }
  Wake();
}

void WatchReactor::OnWriteDone(bool ok) {
  if (!ok) return End(Cancelled("the client went away"));
  service_.executor().Submit([self = shared_from_this()] { self->Pump(); });
}

void WatchReactor::Pump() {
  while (pending_.empty()) {
    if (ended_) return End({});
    if (!LoadMore()) return;
  }
  writing_ = std::move(pending_.front());
  pending_.pop_front();
  StartWrite(&writing_);
}

bool WatchReactor::LoadMore() {
  {
    const std::lock_guard lock(mutex_);
    dirty_ = false;
  }
  Result<jobs::EventPage> page = service_.queue().Events(job_, next_sequence_, kEventsAtOnce);
  if (!page.ok()) return End(page.status()), false;
  ended_ = page->ended;
  for (haq::v1::JobEvent& event : page->events) {
    next_sequence_ = event.sequence() + 1;
    pending_.push_back(std::move(event));
  }
  if (!pending_.empty() || ended_) return true;
  if (service_.queue().closed()) {
    End(Unavailable("the server is shutting down; watch again from event {}", next_sequence_));
    return false;
  }
  return !SleepUnlessDirty();
}

// True when it gave `busy_` away (or ended the call).
bool WatchReactor::SleepUnlessDirty() {
  std::unique_lock lock(mutex_);
  if (cancelled_) {
    lock.unlock();
    End(Cancelled("the client went away"));
    return true;
  }
  if (dirty_) return false;
  busy_ = false;
  return true;
}

// `busy_` stays set, so that nothing wakes after the end.
void WatchReactor::End(const Status& status) { Finish(ToGrpc(status)); }

void WatchReactor::OnDone() {
  // First, and waiting for a callback that runs: it must not be the one that drops this object.
  subscription_ = jobs::Subscription();
  const std::shared_ptr<WatchReactor> self = std::move(self_);
}

}  // namespace haq::server::rpc
