#include "server/rpc/infer_calls.h"

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "server/log/fields.h"
#include "server/rpc/infer_translation.h"
#include "server/rpc/status.h"

namespace haq::server::rpc {
namespace {

using Clock = std::chrono::steady_clock;
using Deadline = std::chrono::system_clock::time_point;

constexpr char kModelInfer[] = "/inference.GRPCInferenceService/ModelInfer";
constexpr char kModelStreamInfer[] = "/inference.GRPCInferenceService/ModelStreamInfer";

// Requests of one stream that are under way; more are read once the first of them was answered.
constexpr size_t kStreamWindow = 16;
constexpr size_t kStreamWindowBytes = 64 << 20;

// One request on its way through the engine. It and the messages stay until `end` was called.
class Inference {
 public:
  Inference(serving::Engine& engine, metrics::Metrics& metrics)
      : engine_(engine), metrics_(metrics) {}

  // `end` may be called before this returns.
  void Start(const inference::ModelInferRequest& request, inference::ModelInferResponse& response,
             Deadline deadline, std::function<void(const Status&)> end) {
    request_ = &request;
    end_ = std::move(end);
    Status status = Translate(request, to_serve_);
    if (status.ok()) status = SetUrgency(request, deadline, to_serve_);
    if (!status.ok()) return End(status, 0);
    const auto ticket =
        engine_.Infer(to_serve_, [this, &response](const Result<serving::Response>& result) {
          if (result.ok()) Translate(*result, *request_, response);
          End(result.status(), result.ok() ? result->images : 0);
        });
    ticket_ = ticket;
  }

  // May come while Start runs: the token then stops what the ticket does not.
  void Cancel() {
    to_serve_.cancellation.Cancel();
    engine_.Cancel(ticket_);
  }

 private:
  void End(const Status& status, int64_t images) {
    metrics_.CountInference(request_->model_name(), status.code(), images,
                            std::chrono::duration<double>(Clock::now() - start_).count());
    LogFailure(status);
    end_(status);
  }

  // A client's own mistakes are its affair and only worth a line to who looks for them.
  void LogFailure(const Status& status) const {
    if (status.ok()) return;
    const bool ours =
        status.code() == StatusCode::kInternal || status.code() == StatusCode::kDataLoss;
    log::Write(ours ? spdlog::level::err : spdlog::level::debug,
               {{"request", request_->id()},
                {"model", request_->model_name()},
                {"code", std::string(StatusCodeName(status.code()))}},
               status.message());
  }

  serving::Engine& engine_;
  metrics::Metrics& metrics_;
  const Clock::time_point start_ = Clock::now();
  const inference::ModelInferRequest* request_ = nullptr;
  std::function<void(const Status&)> end_;
  serving::Request to_serve_;
  std::atomic<serving::Engine::Ticket> ticket_ = 0;
};

// gRPC keeps request and response until OnDone, and calls OnCancel and OnDone only after the
// handler that started the call has returned.
class InferCall : public grpc::ServerUnaryReactor {
 public:
  InferCall(serving::Engine& engine, metrics::Metrics& metrics)
      : metrics_(metrics), inference_(engine, metrics) {}

  void Start(const inference::ModelInferRequest& request, inference::ModelInferResponse& response,
             Deadline deadline) {
    inference_.Start(request, response, deadline, [this](const Status& status) {
      metrics_.CountRpc(kModelInfer, StatusCodeName(status.code()));
      Finish(ToGrpc(status));
    });
  }
  void OnCancel() override { inference_.Cancel(); }
  void OnDone() override { delete this; }

 private:
  // What OnCancel and OnDone do is not worth a thread of gRPC's executor, and the switch to it.
  bool InternalInlineable() override { return true; }

  metrics::Metrics& metrics_;
  Inference inference_;
};

class StreamCall : public grpc::ServerBidiReactor<inference::ModelInferRequest,
                                                  inference::ModelStreamInferResponse> {
 public:
  StreamCall(serving::Engine& engine, metrics::Metrics& metrics, Deadline deadline)
      : engine_(engine), metrics_(metrics), deadline_(deadline), next_(NewSlot()) {
    StartRead(&next_->request);
  }

  void OnReadDone(bool ok) override {
    std::shared_ptr<Slot> slot;
    const std::shared_ptr<std::atomic<bool>> cancelled = cancelled_;
    {
      const std::lock_guard lock(mutex_);
      reading_ = false;
      reads_done_ = !ok;
      if (ok) {
        slot = std::move(next_);
        slot->bytes = slot->request.ByteSizeLong();
        bytes_ += slot->bytes;
        slots_.push_back(slot);
      }
    }
    Continue();
    if (!slot) return;
    // The call is not over before the slot is answered; after that only `slot` is certain.
    slot->inference.Start(
        slot->request, *slot->response.mutable_infer_response(), deadline_,
        [this, raw = slot.get()](const Status& status) { OnAnswer(*raw, status); });
    // A cancellation that came before the start did not find it. `cancelled_` outlives the call.
    if (*cancelled) slot->inference.Cancel();
  }

  void OnWriteDone(bool ok) override {
    {
      const std::lock_guard lock(mutex_);
      writing_ = false;
      broken_ = broken_ || !ok;
      Pop();
    }
    Continue();
  }

  void OnCancel() override {
    std::deque<std::shared_ptr<Slot>> slots;
    {
      const std::lock_guard lock(mutex_);
      broken_ = true;
      *cancelled_ = true;
      slots = slots_;
    }
    for (const auto& slot : slots) slot->inference.Cancel();
  }

  void OnDone() override {
    metrics_.CountRpc(kModelStreamInfer, broken_ ? "CANCELLED" : "OK");
    delete this;
  }

 private:
  struct Slot {
    Slot(serving::Engine& engine, metrics::Metrics& metrics) : inference(engine, metrics) {}
    inference::ModelInferRequest request;
    inference::ModelStreamInferResponse response;
    Inference inference;
    size_t bytes = 0;
    bool answered = false;  // guarded by the call's mutex_
  };

  std::shared_ptr<Slot> NewSlot() const { return std::make_shared<Slot>(engine_, metrics_); }

  void OnAnswer(Slot& slot, const Status& status) {
    auto& answer = *slot.response.mutable_infer_response();
    if (!status.ok()) {
      slot.response.set_error_message(ToGrpc(status).error_message());
      answer.Clear();
      answer.set_model_name(slot.request.model_name());
      answer.set_id(slot.request.id());
    }
    const auto empty_final = slot.request.parameters().find("triton_enable_empty_final_response");
    if (empty_final != slot.request.parameters().end() && empty_final->second.bool_param()) {
      (*answer.mutable_parameters())["triton_final_response"].set_bool_param(true);
    }
    {
      const std::lock_guard lock(mutex_);
      slot.answered = true;
    }
    Continue();
  }

  void Pop() {
    bytes_ -= slots_.front()->bytes;
    slots_.pop_front();
  }

  // Starts whatever can go on. Operations are started without the lock; the flags that were set
  // under it keep the call alive and everybody else from starting the same.
  void Continue() {
    bool read = false, write = false, finish = false;
    std::shared_ptr<Slot> front;
    {
      const std::lock_guard lock(mutex_);
      while (broken_ && !writing_ && !slots_.empty() && slots_.front()->answered) Pop();
      write = !writing_ && !broken_ && !slots_.empty() && slots_.front()->answered;
      if (write) {
        writing_ = true;
        front = slots_.front();
      }
      read =
          !reading_ && !reads_done_ && slots_.size() < kStreamWindow && bytes_ < kStreamWindowBytes;
      if (read) {
        reading_ = true;
        next_ = NewSlot();
      }
      finish = reads_done_ && !writing_ && slots_.empty() && !finished_;
      finished_ = finished_ || finish;
    }
    if (write) StartWrite(&front->response);
    if (read) StartRead(&next_->request);
    if (finish) Finish(grpc::Status::OK);
  }

  serving::Engine& engine_;
  metrics::Metrics& metrics_;
  const Deadline deadline_;

  std::mutex mutex_;
  // Guarded by mutex_.
  std::shared_ptr<Slot> next_;               // being read
  std::deque<std::shared_ptr<Slot>> slots_;  // under way, in the order of the requests
  size_t bytes_ = 0;                         // of their requests
  bool reading_ = true, reads_done_ = false, writing_ = false, finished_ = false;
  bool broken_ = false;  // nobody takes answers any more
  const std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace

grpc::ServerUnaryReactor* StartInfer(grpc::CallbackServerContext* context,
                                     const inference::ModelInferRequest* request,
                                     inference::ModelInferResponse* response,
                                     serving::Engine& engine, metrics::Metrics& metrics) {
  auto* const call = new InferCall(engine, metrics);
  call->Start(*request, *response, context->deadline());
  return call;
}

grpc::ServerBidiReactor<inference::ModelInferRequest, inference::ModelStreamInferResponse>*
StartStreamInfer(grpc::CallbackServerContext* context, serving::Engine& engine,
                 metrics::Metrics& metrics) {
  return new StreamCall(engine, metrics, context->deadline());
}

}  // namespace haq::server::rpc
