// Streams of bytes, one way or the other. At any time either one task runs on the executor or one
// operation of gRPC is under way, so that nothing needs a lock and a slow peer holds no thread.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>

#include "server/api/executor.h"
#include "server/rpc/status.h"
#include "server/rpc/unary.h"

namespace haq::server::rpc {

// Sends what `next` makes, message by message. `next` runs on the executor, fills the message and
// returns false when there was nothing more to send.
template <typename Response>
class SendStream : public grpc::ServerWriteReactor<Response> {
 public:
  using Next = std::function<Result<bool>(Response&)>;

  SendStream(api::Executor& executor, Next next) : executor_(executor), next_(std::move(next)) {
    if (!executor_.TrySubmit([this] { Step(); })) this->Finish(ToGrpc(Busy()));
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return this->Finish(ToGrpc(Cancelled("the client went away")));
    executor_.Submit([this] { Step(); });
  }
  void OnDone() override { delete this; }

 private:
  // Nothing of this object is touched after the call that ends it.
  void Step() {
    message_.Clear();
    const Result<bool> more = CatchAll([&]() -> Result<bool> { return next_(message_); });
    if (!more.ok()) return this->Finish(ToGrpc(more.status()));
    if (!*more) return this->Finish(grpc::Status::OK);
    this->StartWrite(&message_);
  }

  api::Executor& executor_;
  const Next next_;
  Response message_;
};

// Receives messages: `take` gets each of them, `end` runs after the client's last one and makes the
// answer. A failure of either ends the call.
template <typename Request>
class ReceiveStream : public grpc::ServerReadReactor<Request> {
 public:
  using Take = std::function<Status(const Request&)>;
  using End = std::function<Status()>;

  // `end` runs on `end_executor`: it may be slow.
  ReceiveStream(api::Executor& executor, api::Executor& end_executor, Take take, End end)
      : executor_(executor),
        end_executor_(end_executor),
        take_(std::move(take)),
        end_(std::move(end)) {
    this->StartRead(&message_);
  }

  void OnReadDone(bool ok) override {
    if (ok) return executor_.Submit([this] { TakeOne(); });
    // After a cancellation too: what came is kept.
    end_executor_.Submit([this] { this->Finish(ToGrpc(CatchAll([&] { return end_(); }))); });
  }
  void OnDone() override { delete this; }

 private:
  void TakeOne() {
    const Status status = CatchAll([&]() -> Status { return take_(message_); });
    if (!status.ok()) return this->Finish(ToGrpc(status));
    this->StartRead(&message_);
  }

  api::Executor& executor_;
  api::Executor& end_executor_;
  const Take take_;
  const End end_;
  Request message_;
};

}  // namespace haq::server::rpc
