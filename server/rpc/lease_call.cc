#include "server/rpc/lease_call.h"

#include <algorithm>
#include <chrono>

#include "server/rpc/unary.h"

namespace haq::server::rpc {
namespace {

// Longer waits are cut: the worker asks again.
constexpr int64_t kMaxWaitMs = 60'000;

}  // namespace

LeaseReactor* LeaseReactor::Start(api::Service& service, bool local,
                                  const haq::internal::v1::LeaseJobRequest& request,
                                  haq::internal::v1::LeaseJobResponse* response) {
  const std::shared_ptr<LeaseReactor> reactor(new LeaseReactor(service, local, request, response));
  reactor->self_ = reactor;
  const bool submitted = service.executor().TrySubmit([reactor] { reactor->Prepare(); });
  if (!submitted) reactor->Finish(ToGrpc(Busy()));
  return reactor.get();
}

void LeaseReactor::Prepare() {
  if (request_.wait_ms() > 0) {
    // Before the first try, so that nothing falls between.
    subscription_ = service_.queue().OnQueued([weak = weak_from_this()] {
      if (const auto reactor = weak.lock()) reactor->Wake(&reactor->dirty_);
    });
    const auto wait = std::chrono::milliseconds(std::min(request_.wait_ms(), kMaxWaitMs));
    alarm_.Set(std::chrono::system_clock::now() + wait, [weak = weak_from_this()](bool) {
      if (const auto reactor = weak.lock()) reactor->Wake(&reactor->timed_out_);
    });
  } else {
    const std::lock_guard lock(mutex_);
    timed_out_ = true;
  }
  Try();
}

void LeaseReactor::Wake(bool* flag) {
  {
    const std::lock_guard lock(mutex_);
    *flag = true;
    if (busy_) return;
    busy_ = true;
  }
  service_.executor().Submit([self = shared_from_this()] { self->Try(); });
}

void LeaseReactor::OnCancel() { Wake(&cancelled_); }

void LeaseReactor::Try() {
  do {
    {
      const std::lock_guard lock(mutex_);
      dirty_ = false;
    }
    auto leased = CatchAll([&] { return service_.workers().Lease(request_, local_); });
    if (!leased.ok()) return Finish(ToGrpc(leased.status()));
    if (leased->has_lease()) {
      {
        const std::lock_guard lock(mutex_);
        *granted_.mutable_lease() = leased->lease();
      }
      *response_ = *std::move(leased);
      return Finish(grpc::Status::OK);
    }
  } while (!SleepUnlessDirty());
}

bool LeaseReactor::SleepUnlessDirty() {
  std::unique_lock lock(mutex_);
  if (cancelled_ || timed_out_) {
    const bool cancelled = cancelled_;
    lock.unlock();
    Finish(cancelled ? ToGrpc(Cancelled("the worker went away")) : grpc::Status::OK);
    return true;
  }
  if (dirty_) return false;
  busy_ = false;
  return true;
}

// gRPC tells of a cancellation, also of one after the answer was made, before it is done.
void LeaseReactor::OnDone() {
  // First, and waiting for a callback that runs: it must not be the one that drops this object.
  subscription_ = jobs::Subscription();
  alarm_.Cancel();
  {
    const std::lock_guard lock(mutex_);
    if (cancelled_ && granted_.has_lease()) {
      service_.executor().Submit(
          [&service = service_, granted = granted_] { service.workers().GiveBack(granted); });
    }
  }
  const std::shared_ptr<LeaseReactor> self = std::move(self_);
}

}  // namespace haq::server::rpc
