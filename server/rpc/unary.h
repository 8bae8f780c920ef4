// Calls with one request and one answer: the work runs on an executor, not on gRPC's threads.
#pragma once

#include <google/protobuf/empty.pb.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <exception>
#include <utility>

#include "server/api/executor.h"
#include "server/rpc/status.h"

namespace haq::server::rpc {

inline Status Busy() { return ResourceExhausted("the server is busy; try again later"); }

// The failure that escaped as an exception (of the standard library: no memory, no threads).
template <typename Function>
auto CatchAll(Function function) -> decltype(function()) {
  try {
    return function();
  } catch (const std::exception& exception) {
    return InternalError("{}", exception.what());
  }
}

template <typename Response>
Status Assign(Result<Response> result, Response* response) {
  if (!result.ok()) return result.status();
  *response = *std::move(result);
  return {};
}
inline Status Assign(Status status, google::protobuf::Empty*) { return status; }

// `handler` returns Result<Response>, or Status for a call whose answer is empty; it may use the
// request, which lives until the call is finished.
template <typename Response, typename Handler>
grpc::ServerUnaryReactor* RunUnary(grpc::CallbackServerContext* context, api::Executor& executor,
                                   Response* response, Handler handler) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const bool submitted = executor.TrySubmit([reactor, response, handler = std::move(handler)] {
    reactor->Finish(ToGrpc(CatchAll([&]() -> Status { return Assign(handler(), response); })));
  });
  if (!submitted) reactor->Finish(ToGrpc(Busy()));
  return reactor;
}

// The same for answers of the worker protocol that have no fields.
template <typename Response, typename Handler>
grpc::ServerUnaryReactor* RunUnaryEmpty(grpc::CallbackServerContext* context,
                                        api::Executor& executor, Response*, Handler handler) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const bool submitted = executor.TrySubmit([reactor, handler = std::move(handler)] {
    reactor->Finish(ToGrpc(CatchAll([&]() -> Status { return handler(); })));
  });
  if (!submitted) reactor->Finish(ToGrpc(Busy()));
  return reactor;
}

}  // namespace haq::server::rpc
