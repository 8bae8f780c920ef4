#include "server/serving/engine.h"

#include <algorithm>
#include <exception>
#include <thread>
#include <utility>

#include "server/serving/outputs.h"
#include "server/serving/preparation.h"

namespace haq::server::serving {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

Settings WithDefaults(Settings settings) {
  if (settings.threads <= 0) {
    settings.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  }
  // So many batches run at a time that their sessions have the threads between them.
  settings.threads = std::max(1, settings.threads / settings.session_threads);
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
  const auto& requested = entry.request->outputs;
  Response response{model.name(), std::to_string(model.version()), entry.prepared.batch, {}};
  response.outputs.push_back(MakeOutput(
      requested.empty() ? RequestedOutput{.name = std::string(kOutputName)} : requested[0], model,
      entry.prepared.batch, std::move(entry.output)));
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
                 }) {
  metrics_.SetInferenceQueueLimit(static_cast<int64_t>(settings_.max_queue));
}

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
void Engine::PrepareEntries(const ServedModel& model, std::vector<BatchEntry>& entries) const {
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
}

std::vector<Result<Response>> Engine::RunEntries(const ServedModel& model,
                                                 const std::vector<Call>& calls) {
  const auto start = Clock::now();
  std::vector<BatchEntry> entries(calls.size());
  for (size_t i = 0; i < calls.size(); ++i) entries[i].request = calls[i].request;
  PrepareEntries(model, entries);
  const BatchCost cost = RunBatch(model, settings_, entries);

  const auto before_output = Clock::now();
  std::vector<Result<Response>> answers;
  for (BatchEntry& entry : entries) {
    if (entry.status.ok()) {
      answers.emplace_back(MakeResponse(model, entry));
    } else {
      answers.emplace_back(entry.status);
    }
  }
  const auto end = Clock::now();
  if (cost.samples > 0) {
    metrics_.ObserveBatch(model.name(), cost.samples);
    model.statistics().CountBatch(cost.samples, cost.input, cost.compute, end - before_output);
  }
  for (size_t i = 0; i < answers.size(); ++i) {
    if (!answers[i].ok()) {
      model.statistics().CountFailure(end - calls[i].arrival);
      continue;
    }
    metrics_.ObserveInferenceStages(model.name(), Seconds(start - calls[i].arrival),
                                    Seconds(cost.compute));
    model.statistics().CountSuccess({.samples = answers[i]->images,
                                     .total = end - calls[i].arrival,
                                     .queue = start - calls[i].arrival,
                                     .input = cost.input,
                                     .compute = cost.compute,
                                     .output = end - before_output});
  }
  return answers;
}

void Engine::RunCalls(const std::string& name, std::vector<Call> calls) {
  std::vector<Result<Response>> answers;
  Status failure;
  try {
    const auto model = repository_.Acquire(name, "");
    failure = model.status();
    if (model.ok()) answers = RunEntries(**model, calls);
  } catch (const std::bad_alloc&) {
    failure = ResourceExhausted("not enough memory to answer the request");
  }
  for (size_t i = 0; i < calls.size(); ++i) {
    calls[i].done(failure.ok() ? std::move(answers[i]) : Result<Response>(failure));
  }
}

}  // namespace haq::server::serving
