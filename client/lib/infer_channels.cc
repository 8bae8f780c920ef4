#include "client/lib/infer_channels.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "client/lib/channel.h"
#include "client/lib/stubs.h"

namespace haq::client {
namespace {

constexpr char kMethod[] = "/inference.GRPCInferenceService/ModelInfer";

std::chrono::system_clock::time_point DeadlineOf(const ClientOptions& options) {
  return options.timeout_ms > 0
             ? std::chrono::system_clock::now() + std::chrono::milliseconds(options.timeout_ms)
             : std::chrono::system_clock::time_point::max();
}

grpc::ByteBuffer Encode(const inference::ModelInferRequest& request) {
  const grpc::Slice slice(request.SerializeAsString());
  return {&slice, 1};
}

struct PendingCall {
  grpc::ClientContext context;
  grpc::ByteBuffer answer;
  grpc::Status status;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
  InferChannels::Done done;
};

}  // namespace

struct InferChannels::Impl {
  ClientOptions options;
  std::vector<grpc::ByteBuffer> requests;
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs;
  grpc::CompletionQueue queue;
  std::vector<std::thread> threads;

  void TakeAnswers() {
    void* tag = nullptr;
    bool ok = false;
    while (queue.Next(&tag, &ok)) {
      const std::unique_ptr<PendingCall> call(static_cast<PendingCall*>(tag));
      call->done(FromGrpc(call->status).code());
    }
  }
};

InferChannels::InferChannels(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

InferChannels::~InferChannels() {
  impl_->queue.Shutdown();
  for (std::thread& thread : impl_->threads) thread.join();
}

Result<std::unique_ptr<InferChannels>> InferChannels::Connect(
    const ClientOptions& options, int connections, int threads,
    const std::vector<inference::ModelInferRequest>& requests) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  for (const auto& request : requests) impl->requests.push_back(Encode(request));
  for (int i = 0; i < connections; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // else all share one connection
    impl->channels.push_back(MakeChannel(options, arguments));
    impl->stubs.push_back(std::make_unique<grpc::GenericStub>(impl->channels.back()));
    impl->channels.back()->GetState(/*try_to_connect=*/true);
  }
  const auto deadline = DeadlineOf(options);
  for (size_t i = 0; i < impl->channels.size(); ++i) {
    if (!impl->channels[i]->WaitForConnected(deadline)) {
      return Unavailable("server {}: connection {} of {} was not open after {} ms", options.server,
                         i + 1, connections, options.timeout_ms);
    }
  }
  for (int i = 0; i < threads; ++i) {
    impl->threads.emplace_back([impl = impl.get()] { impl->TakeAnswers(); });
  }
  return std::unique_ptr<InferChannels>(new InferChannels(std::move(impl)));
}

int InferChannels::connections() const { return static_cast<int>(impl_->channels.size()); }

void InferChannels::Send(int connection, int request, Done done) {
  auto call = std::make_unique<PendingCall>();
  call->done = std::move(done);
  call->context.set_deadline(DeadlineOf(impl_->options));
  call->reader = impl_->stubs[static_cast<size_t>(connection)]->PrepareUnaryCall(
      &call->context, kMethod, impl_->requests[static_cast<size_t>(request)], &impl_->queue);
  call->reader->StartCall();
  PendingCall* const pending = call.release();  // the queue's, which gives it back to TakeAnswers
  pending->reader->Finish(&pending->answer, &pending->status, pending);
}

}  // namespace haq::client
