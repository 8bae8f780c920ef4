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

// Runs the batch in pieces of the session's size; returns the time in the integer engine.
Result<Clock::duration> RunPieces(const Request& request, const Prepared& prepared,
                                  const ServedModel& model, const Settings& settings,
                                  std::span<float> output) {
  HAQ_ASSIGN_OR_RETURN(const auto session, model.TakeSession());
  const auto in = static_cast<size_t>(model.loaded().input_elements());
  const auto out = static_cast<size_t>(model.loaded().output_elements());
  const int64_t piece = std::min(prepared.batch, model.session_batch());
  std::vector<float> floats(static_cast<size_t>(piece) * in);
  Clock::duration compute{};
  for (int64_t first = 0; first < prepared.batch; first += piece) {
    if (request.cancellation.cancelled()) return Cancelled("the client gave the request up");
    const int64_t count = std::min(piece, prepared.batch - first);
    const auto samples = std::span(floats).first(static_cast<size_t>(count) * in);
    HAQ_RETURN_IF_ERROR(FillSamples(prepared, first, count, model, settings, samples));
    const auto start = Clock::now();
    HAQ_RETURN_IF_ERROR(session->Run(
        count, samples,
        output.subspan(static_cast<size_t>(first) * out, static_cast<size_t>(count) * out)));
    compute += Clock::now() - start;
  }
  return compute;
}

}  // namespace

Engine::Engine(const Settings& settings, const Repository& repository, metrics::Metrics& metrics)
    : settings_(WithDefaults(settings)),
      repository_(repository),
      metrics_(metrics),
      scheduler_({.threads = settings_.threads,
                  .per_key = settings_.sessions_per_model,
                  .max_queue = settings_.max_queue,
                  .max_queue_bytes = settings_.max_queue_bytes,
                  .on_queue = [&metrics](size_t waiting) {
                    metrics.SetInferenceQueue(static_cast<int64_t>(waiting));
                  }}) {}

void Engine::Infer(const Request& request, Done done) {
  if (!repository_.Knows(request.model)) return done(NoSuchModel(request.model));
  // Shared: Submit does not give back a task that it refuses.
  const auto shared_done = std::make_shared<Done>(std::move(done));
  const Status submitted = scheduler_.Submit(
      request.model, ContentBytes(request),
      [this, &request, shared_done, start = Clock::now()] { (*shared_done)(Run(request, start)); });
  if (!submitted.ok()) (*shared_done)(submitted);
}

Result<Response> Engine::Run(const Request& request, Clock::time_point start) try {
  const auto waited = Clock::now() - start;
  if (request.cancellation.cancelled()) return Cancelled("the client gave the request up");
  HAQ_ASSIGN_OR_RETURN(const auto model, repository_.Acquire(request.model, request.version));
  HAQ_ASSIGN_OR_RETURN(const Prepared prepared, Prepare(request, *model, settings_));

  OutputTensor output{.name = std::string(kOutputName),
                      .datatype = std::string(kFp32),
                      .shape = {prepared.batch},
                      .values = {}};
  output.shape.insert(output.shape.end(), model->output_shape().begin(),
                      model->output_shape().end());
  output.values.resize(static_cast<size_t>(prepared.batch * model->loaded().output_elements()));
  HAQ_ASSIGN_OR_RETURN(const auto compute,
                       RunPieces(request, prepared, *model, settings_, output.values));
  metrics_.ObserveInferenceStages(request.model, Seconds(waited), Seconds(compute));

  Response response{model->name(), std::to_string(model->version()), prepared.batch, {}};
  response.outputs.push_back(std::move(output));
  return response;
} catch (const std::bad_alloc&) {
  return ResourceExhausted("not enough memory to answer the request");
}

}  // namespace haq::server::serving
