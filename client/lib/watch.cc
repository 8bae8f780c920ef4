#include <algorithm>

#include "client/lib/stubs.h"

namespace haq::client {

bool IsFinal(v1::JobState state) {
  return state == v1::SUCCEEDED || state == v1::FAILED || state == v1::CANCELLED;
}

bool EndsJob(const v1::JobEvent& event) {
  return event.has_state_change() && IsFinal(event.state_change().state());
}

// One connection's worth of events.
Status Client::WatchOnce(const v1::WatchJobRequest& request, const std::stop_token& stop,
                         const std::function<Status(const v1::JobEvent&)>& on_event) {
  grpc::ClientContext context;
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  const auto reader = stubs_->jobs->WatchJob(&context, request);
  v1::JobEvent event;
  Status handled;
  while (handled.ok() && !stop.stop_requested() && reader->Read(&event)) handled = on_event(event);
  if (!handled.ok()) context.TryCancel();
  const grpc::Status status = reader->Finish();
  if (stop.stop_requested()) return Cancelled("stopped watching");
  return handled.ok() ? Describe(options_, status) : handled;
}

Status Client::WatchJob(const std::string& name, int64_t from_sequence,
                        const std::function<void(const v1::JobEvent&)>& on_event,
                        const std::stop_token& stop) {
  int64_t next = std::max<int64_t>(1, from_sequence);
  bool ended = false;
  Backoff backoff(options_.retry_ms);
  const auto check_and_forward = [&](const v1::JobEvent& event) -> Status {
    if (event.sequence() < next) return {};
    if (event.sequence() > next) {
      return DataLoss("{}: the server sent event {} after event {}", name, event.sequence(),
                      next - 1);
    }
    ++next;
    ended = ended || EndsJob(event);
    backoff.Reset(options_.reconnect_ms);
    on_event(event);
    return {};
  };
  while (true) {
    v1::WatchJobRequest request;
    request.set_name(name);
    request.set_from_sequence(next);
    Status status = WatchOnce(request, stop, check_and_forward);
    if (status.code() == StatusCode::kCancelled && !stop.stop_requested()) {
      status = Unavailable("server {}: the watch was cut off", options_.server);
    }
    if (!status.ok() && status.code() != StatusCode::kUnavailable) return status;
    if (status.ok()) {
      if (ended) return {};
      // A stream that ends early: nothing was left to tell of a job that ended before, or the
      // server is stopping.
      Result<v1::Job> job = GetJob(name);
      if (job.ok() && IsFinal(job->state()) && job->last_sequence() < next) return {};
      status = job.ok() ? Unavailable("server {} ended the watch of {}", options_.server, name)
                        : job.status();
    }
    if (!backoff.Wait(stop)) {
      return stop.stop_requested() ? Cancelled("stopped watching") : status;
    }
  }
}

}  // namespace haq::client
