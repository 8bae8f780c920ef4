#include "server/serving/engine.h"

#include <algorithm>
#include <exception>
#include <thread>
#include <utility>

#include "server/serving/preparation.h"

namespace haq::server::serving {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

Settings WithDefaults(Settings settings) {
  if (settings.threads <= 0) {
    settings.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  }
  if (settings.sessions_per_model <= 0) settings.sessions_per_model = settings.threads;
  return settings;
}

// What a waiting request keeps in memory.
size_t ContentBytes(const Request& request) {
  size_t bytes = 0;
  for (const InputTensor& input : request.inputs) {
    if (const auto* raw = std::get_if<RawContent>(&input.content)) {
      bytes += raw->bytes.size();
    } else if (const auto* floats = std::get_if<FloatContent>(&input.content)) {
      bytes += floats->size_bytes();
    } else {
      for (const auto element : std::get<BytesContent>(input.content)) bytes += element.size();
    }
  }
  return bytes;
}

// Samples that the request says it has; whether that is true is checked when it runs.
int64_t ClaimedSamples(const Request& request, const Settings& settings) {
  if (request.inputs.empty() || request.inputs[0].shape.empty()) return 1;
  return std::clamp<int64_t>(request.inputs[0].shape[0], 1, settings.max_batch);
}

Response MakeResponse(const ServedModel& model, BatchEntry& entry) {
  OutputTensor output{.name = std::string(kOutputName),
                      .datatype = std::string(kFp32),
                      .shape = {entry.prepared.batch},
                      .values = std::move(entry.output)};
  output.shape.insert(output.shape.end(), model.output_shape().begin(), model.output_shape().end());
  Response response{model.name(), std::to_string(model.version()), entry.prepared.batch, {}};
  response.outputs.push_back(std::move(output));
  return response;
}

}  // namespace

Engine::Engine(const Settings& settings, const Repository& repository, metrics::Metrics& metrics)
    : settings_(WithDefaults(settings)),
      repository_(repository),
      metrics_(metrics),
      scheduler_({.threads = settings_.threads,
                  .policy = {.max_batch = settings_.dynamic_batch,
                             .max_delay = std::chrono::microseconds(settings_.max_queue_delay_us),
                             .max_running = settings_.sessions_per_model,
                             .max_queue = settings_.max_queue,
                             .max_queue_bytes = settings_.max_queue_bytes},
                  .on_queue =
                      [&metrics](const std::string& model, size_t waiting) {
                        metrics.SetInferenceQueue(model, static_cast<int64_t>(waiting));
                      }},
                 [this](const std::string& model, std::vector<Call> calls) {
                   RunCalls(model, std::move(calls));
                 }) {}

Result<BatchPolicy::Item> Engine::ItemOf(const Request& request) const {
  if (request.priority < 0 || request.priority > settings_.priority_levels) {
    return InvalidField("parameters.priority",
                        "is {}; allowed are 1 (highest) to {}, and 0 for the default {}",
                        request.priority, settings_.priority_levels, settings_.default_priority);
  }
  return BatchPolicy::Item{
      .samples = ClaimedSamples(request, settings_),
      .bytes = ContentBytes(request),
      .priority = request.priority > 0 ? request.priority : settings_.default_priority,
      .deadline = request.deadline};
}

Engine::Ticket Engine::Infer(const Request& request, Done done) {
  if (!repository_.Knows(request.model)) {
    done(NoSuchModel(request.model));
    return 0;
  }
  const auto item = ItemOf(request);
  if (!item.ok()) {
    done(item.status());
    return 0;
  }
  Call call{&request, std::move(done), Clock::now()};
  const auto ticket = scheduler_.Submit(request.model, *item, call);
  if (!ticket.ok()) call.done(ticket.status());
  return ticket.ok() ? *ticket : 0;
}

// All entries run on the version that is served now: the one that an Acquire with its number would
// have found.
void Engine::RunEntries(const ServedModel& model, const std::vector<Call>& calls,
                        std::vector<BatchEntry>& entries, Clock::time_point start) {
  for (BatchEntry& entry : entries) {
    if (entry.request->cancellation.cancelled()) {
      entry.status = Cancelled("the client gave the request up");
      continue;
    }
    entry.status = CheckVersion(model, entry.request->version);
    if (!entry.status.ok()) continue;
    auto prepared = Prepare(*entry.request, model, settings_);
    entry.status = prepared.status();
    if (prepared.ok()) entry.prepared = *std::move(prepared);
  }
  const BatchCost cost = RunBatch(model, settings_, entries);
  if (cost.samples > 0) metrics_.ObserveBatch(model.name(), cost.samples);
  for (size_t i = 0; i < entries.size(); ++i) {
    if (!entries[i].status.ok()) continue;
    metrics_.ObserveInferenceStages(model.name(), Seconds(start - calls[i].arrival),
                                    Seconds(cost.compute));
  }
}

void Engine::RunCalls(const std::string& name, std::vector<Call> calls) {
  const auto start = Clock::now();
  std::vector<BatchEntry> entries(calls.size());
  for (size_t i = 0; i < calls.size(); ++i) entries[i].request = calls[i].request;
  std::shared_ptr<const ServedModel> model;
  Status failure;
  try {
    auto acquired = repository_.Acquire(name, "");
    failure = acquired.status();
    if (acquired.ok()) {
      model = *std::move(acquired);
      RunEntries(*model, calls, entries, start);
    }
  } catch (const std::bad_alloc&) {
    failure = ResourceExhausted("not enough memory to answer the request");
  }
  for (size_t i = 0; i < calls.size(); ++i) {
    const Status& status = failure.ok() ? entries[i].status : failure;
    if (status.ok()) {
      calls[i].done(MakeResponse(*model, entries[i]));
    } else {
      calls[i].done(status);
    }
  }
}

}  // namespace haq::server::serving
