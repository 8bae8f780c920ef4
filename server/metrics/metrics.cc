#include "server/metrics/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <utility>
#include <vector>

#include "core/base/version.h"
#include "server/metrics/process.h"

namespace haq::server::metrics {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;

constexpr std::array<std::string_view, 5> kJobStates = {"queued", "running", "succeeded", "failed",
                                                        "cancelled"};

constexpr std::string_view kPhases[] = {
    "import",   "equalize", "calibrate",   "wide",     "bias_correction", "adaround", "lower",
    "clipping", "layers",   "sensitivity", "evaluate", "speed",           "upload"};

const Histogram::BucketBoundaries& PhaseSeconds() {
  static const Histogram::BucketBoundaries buckets = {0.1, 0.5, 1,   2.5, 5,    10,
                                                      30,  60,  120, 300, 1200, 3600};
  return buckets;
}

// From the fastest small network to the slowest big batch.
const Histogram::BucketBoundaries& Seconds() {
  static const Histogram::BucketBoundaries buckets = {
      0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
  return buckets;
}

const Histogram::BucketBoundaries& BatchSizes() {
  static const Histogram::BucketBoundaries buckets = {1, 2, 4, 8, 16, 32, 64, 128};
  return buckets;
}

template <typename Builder>
auto& Build(Builder builder, prometheus::Registry& registry, const char* name, const char* help) {
  return builder.Name(name).Help(help).Register(registry);
}

// The time series of a model's figures.
struct FigureSeries {
  std::vector<std::pair<Family<Gauge>*, Gauge*>> gauges;
};

// The time series of one model. Request counters per code are made when the code first occurs.
struct ModelSeries {
  std::map<StatusCode, Counter*> requests;
  Counter* images = nullptr;
  Histogram* duration = nullptr;
  Histogram* queue = nullptr;
  Histogram* compute = nullptr;
  Histogram* batch = nullptr;
  Gauge* waiting = nullptr;
};

}  // namespace

struct Metrics::Impl {
  Impl() {
    build.Add({{"version", std::string(kVersion)}}).Set(1);
    for (const std::string_view state : kJobStates) {
      jobs.Add({{"state", std::string(state)}});
      job_changes.Add({{"state", std::string(state)}});
    }
    for (const std::string_view phase : kPhases) {
      phases.Add({{"phase", std::string(phase)}}, PhaseSeconds());
    }
    for (const char* how : {"crashed", "ended"}) restarts.Add({{"how", how}});
    models.emplace(kUnknownModel, NewModel(std::string(kUnknownModel)));
  }

  ModelSeries NewModel(const std::string& model) {
    const prometheus::Labels labels{{"model", model}};
    return {.requests = {},
            .images = &images.Add(labels),
            .duration = &duration.Add(labels, Seconds()),
            .queue = &queue_duration.Add(labels, Seconds()),
            .compute = &compute_duration.Add(labels, Seconds()),
            .batch = &batch_size.Add(labels, BatchSizes()),
            .waiting = &queue.Add(labels)};
  }

  // The series of `model`, or those of unknown models. The caller holds `mutex`.
  ModelSeries& Series(const std::string& model) {
    const auto found = models.find(model);
    return found != models.end() ? found->second : models.find(kUnknownModel)->second;
  }
  std::string_view Label(const std::string& model) {
    return models.contains(model) ? std::string_view(model) : kUnknownModel;
  }

  prometheus::Registry registry;
  Family<Gauge>& build = Build(prometheus::BuildGauge(), registry, "haq_build_info",
                               "Always 1; the labels say what runs");
  Family<Counter>& requests =
      Build(prometheus::BuildCounter(), registry, "haq_inference_requests_total",
            "Inference requests that were answered");
  Family<Counter>& images =
      Build(prometheus::BuildCounter(), registry, "haq_inference_images_total",
            "Images (samples) of successful inference requests");
  Family<Histogram>& duration =
      Build(prometheus::BuildHistogram(), registry, "haq_inference_request_duration_seconds",
            "From the request's arrival to its answer");
  Family<Histogram>& queue_duration =
      Build(prometheus::BuildHistogram(), registry, "haq_inference_queue_duration_seconds",
            "Time a request waited for a thread");
  Family<Histogram>& compute_duration =
      Build(prometheus::BuildHistogram(), registry, "haq_inference_compute_duration_seconds",
            "Time in the integer engine for the batch that a request was part of");
  Family<Histogram>& batch_size = Build(prometheus::BuildHistogram(), registry,
                                        "haq_inference_batch_size", "Samples that ran together");
  Family<Gauge>& queue = Build(prometheus::BuildGauge(), registry, "haq_inference_queue_requests",
                               "Requests that wait for a thread");
  Gauge& queue_limit =
      Build(prometheus::BuildGauge(), registry, "haq_inference_queue_limit_requests",
            "Requests of one model that may wait for a thread")
          .Add({});
  Gauge& loaded = Build(prometheus::BuildGauge(), registry, "haq_models_loaded",
                        "Models that are loaded and answer requests")
                      .Add({});
  Counter& self_test_failures =
      Build(prometheus::BuildCounter(), registry, "haq_self_test_failures_total",
            "Sessions that failed the self-test of their model and were not used")
          .Add({});
  Family<Gauge>& kernels = Build(prometheus::BuildGauge(), registry, "haq_inference_kernels_info",
                                 "Always 1; the label says which kernels inference runs on");
  Family<Counter>& rpcs = Build(prometheus::BuildCounter(), registry, "haq_grpc_requests_total",
                                "gRPC calls that ended");
  Family<Counter>& http = Build(prometheus::BuildCounter(), registry, "haq_http_requests_total",
                                "HTTP requests that were answered");
  Family<Gauge>& jobs =
      Build(prometheus::BuildGauge(), registry, "haq_jobs", "Calibration jobs by state");
  Family<Counter>& job_changes =
      Build(prometheus::BuildCounter(), registry, "haq_job_state_changes_total",
            "Times that a job came into the state");
  Counter& calibration_images =
      Build(prometheus::BuildCounter(), registry, "haq_calibration_images_total",
            "Images that calibration jobs have seen")
          .Add({});
  Gauge& calibration_speed =
      Build(prometheus::BuildGauge(), registry, "haq_calibration_images_per_second",
            "Speed of the jobs that calibrate now, together")
          .Add({});
  Family<Histogram>& phases =
      Build(prometheus::BuildHistogram(), registry, "haq_job_phase_duration_seconds",
            "Time that a job's attempt spent in a phase");
  Family<Counter>& restarts =
      Build(prometheus::BuildCounter(), registry, "haq_worker_restarts_total",
            "Worker processes of the server that ended by themselves");
  Family<Gauge>& isolation = Build(prometheus::BuildGauge(), registry, "haq_worker_isolation",
                                   "1: the mechanism isolates the worker processes of the server");
  Family<Gauge>& served_version = Build(prometheus::BuildGauge(), registry, "haq_served_version",
                                        "Version that a model serves");
  Family<Gauge>& served_top1 =
      Build(prometheus::BuildGauge(), registry, "haq_served_top1_ratio",
            "Top-1 accuracy of the served version on its evaluation images");
  Family<Gauge>& served_agreement =
      Build(prometheus::BuildGauge(), registry, "haq_served_agreement_ratio",
            "Evaluation images on which INT8 and FP32 have the same best class");
  Family<Gauge>& served_sqnr =
      Build(prometheus::BuildGauge(), registry, "haq_served_sqnr_decibels",
            "Signal-to-quantization-noise ratio of the served version's output");
  Gauge& database_bytes = Build(prometheus::BuildGauge(), registry, "haq_store_database_bytes",
                                "Size of the database, its write-ahead log included")
                              .Add({});
  Gauge& blobs = Build(prometheus::BuildGauge(), registry, "haq_store_blobs",
                       "Stored models, shards and artifacts")
                     .Add({});
  Gauge& blob_bytes =
      Build(prometheus::BuildGauge(), registry, "haq_store_blob_bytes", "Size of the blobs")
          .Add({});
  Gauge& free_bytes = Build(prometheus::BuildGauge(), registry, "haq_store_free_bytes",
                            "Space that is left on the data folder's disk")
                          .Add({});
  ClippingCollector clipping;
  Counter& removed_blobs =
      Build(prometheus::BuildCounter(), registry, "haq_store_removed_blobs_total",
            "Blobs that were removed because nothing referred to them")
          .Add({});
  Counter& removed_bytes = Build(prometheus::BuildCounter(), registry,
                                 "haq_store_removed_bytes_total", "Size of those blobs")
                               .Add({});
  ProcessCollector process;

  std::shared_mutex mutex;
  // Guarded by mutex; a series is used under the shared lock, so that removing one is safe.
  std::map<std::string, ModelSeries, std::less<>> models;
  std::map<std::string, FigureSeries> figures;

  // The caller holds `mutex` alone.
  void RemoveFigures(const std::string& model) {
    for (const auto& [family, gauge] : figures[model].gauges) family->Remove(gauge);
    figures.erase(model);
  }
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::AddModel(const std::string& model) {
  const std::unique_lock lock(impl_->mutex);
  if (impl_->models.contains(model)) return;
  impl_->models.emplace(model, impl_->NewModel(model));
  impl_->loaded.Increment();
}

void Metrics::RemoveModel(const std::string& model) {
  const std::unique_lock lock(impl_->mutex);
  const auto found = impl_->models.find(model);
  if (found == impl_->models.end() || model == kUnknownModel) return;
  const ModelSeries& series = found->second;
  for (const auto& [code, counter] : series.requests) impl_->requests.Remove(counter);
  impl_->images.Remove(series.images);
  impl_->duration.Remove(series.duration);
  impl_->queue_duration.Remove(series.queue);
  impl_->compute_duration.Remove(series.compute);
  impl_->batch_size.Remove(series.batch);
  impl_->queue.Remove(series.waiting);
  impl_->models.erase(found);
  impl_->loaded.Decrement();
}

void Metrics::CountInference(const std::string& model, StatusCode code, int64_t images,
                             double seconds) {
  {
    const std::shared_lock lock(impl_->mutex);
    ModelSeries& series = impl_->Series(model);
    if (const auto counter = series.requests.find(code); counter != series.requests.end()) {
      counter->second->Increment();
      series.images->Increment(static_cast<double>(images));
      series.duration->Observe(seconds);
      return;
    }
  }
  const std::unique_lock lock(impl_->mutex);
  ModelSeries& series = impl_->Series(model);
  Counter& counter = impl_->requests.Add(
      {{"model", std::string(impl_->Label(model))}, {"code", std::string(StatusCodeName(code))}});
  series.requests[code] = &counter;
  counter.Increment();
  series.images->Increment(static_cast<double>(images));
  series.duration->Observe(seconds);
}

void Metrics::ObserveInferenceStages(const std::string& model, double queue_seconds,
                                     double compute_seconds) {
  const std::shared_lock lock(impl_->mutex);
  const ModelSeries& series = impl_->Series(model);
  series.queue->Observe(queue_seconds);
  series.compute->Observe(compute_seconds);
}

void Metrics::ObserveBatch(const std::string& model, int64_t samples) {
  const std::shared_lock lock(impl_->mutex);
  impl_->Series(model).batch->Observe(static_cast<double>(samples));
}

void Metrics::SetInferenceQueue(const std::string& model, int64_t requests) {
  const std::shared_lock lock(impl_->mutex);
  const auto found = impl_->models.find(model);
  if (found != impl_->models.end()) found->second.waiting->Set(static_cast<double>(requests));
}

void Metrics::SetInferenceQueueLimit(int64_t requests) {
  impl_->queue_limit.Set(static_cast<double>(requests));
}

void Metrics::CountSelfTestFailure() { impl_->self_test_failures.Increment(); }

void Metrics::SetKernels(std::string_view kernels) {
  impl_->kernels.Add({{"kernels", std::string(kernels)}}).Set(1);
}

void Metrics::CountRpc(std::string_view method, std::string_view code) {
  impl_->rpcs.Add({{"method", std::string(method)}, {"code", std::string(code)}}).Increment();
}

void Metrics::CountHttp(std::string_view route, int status) {
  impl_->http.Add({{"route", std::string(route)}, {"code", std::to_string(status)}}).Increment();
}

void Metrics::SetJobs(std::string_view state, int64_t jobs) {
  impl_->jobs.Add({{"state", std::string(state)}}).Set(static_cast<double>(jobs));
}

void Metrics::MoveJob(std::string_view from, std::string_view to) {
  if (!from.empty()) impl_->jobs.Add({{"state", std::string(from)}}).Decrement();
  impl_->jobs.Add({{"state", std::string(to)}}).Increment();
  impl_->job_changes.Add({{"state", std::string(to)}}).Increment();
}

void Metrics::AddCalibrationImages(int64_t images) {
  if (images > 0) impl_->calibration_images.Increment(static_cast<double>(images));
}

void Metrics::SetCalibrationSpeed(double images_per_second) {
  impl_->calibration_speed.Set(images_per_second);
}

void Metrics::ObserveJobPhase(const std::string& phase, double seconds) {
  const bool known = std::find(std::begin(kPhases), std::end(kPhases), phase) != std::end(kPhases);
  impl_->phases.Add({{"phase", known ? phase : std::string(kOtherPhase)}}, PhaseSeconds())
      .Observe(seconds);
}

void Metrics::SetWorkerIsolation(std::string_view mechanism, bool on) {
  impl_->isolation.Add({{"mechanism", std::string(mechanism)}}).Set(on ? 1 : 0);
}

void Metrics::CountWorkerRestart(bool crashed) {
  impl_->restarts.Add({{"how", crashed ? "crashed" : "ended"}}).Increment();
}

void Metrics::SetServedFigures(const std::string& model, const Figures& figures) {
  const std::unique_lock lock(impl_->mutex);
  impl_->RemoveFigures(model);
  FigureSeries& series = impl_->figures[model];
  const auto set = [&](Family<Gauge>& family, std::optional<double> value,
                       prometheus::Labels labels) {
    if (!value) return;
    labels.emplace("model", model);
    Gauge& gauge = family.Add(labels);
    gauge.Set(*value);
    series.gauges.emplace_back(&family, &gauge);
  };
  set(impl_->served_version, static_cast<double>(figures.version), {});
  set(impl_->served_top1, figures.fp32_top1, {{"network", "fp32"}});
  set(impl_->served_top1, figures.int8_top1, {{"network", "int8"}});
  set(impl_->served_agreement, figures.agreement, {});
  set(impl_->served_sqnr, figures.sqnr_db, {});
}

void Metrics::RemoveServedFigures(const std::string& model) {
  const std::unique_lock lock(impl_->mutex);
  impl_->RemoveFigures(model);
}

void Metrics::SetStorage(const Storage& storage) {
  impl_->database_bytes.Set(static_cast<double>(storage.database_bytes));
  impl_->blobs.Set(static_cast<double>(storage.blobs));
  impl_->blob_bytes.Set(static_cast<double>(storage.blob_bytes));
  impl_->free_bytes.Set(static_cast<double>(storage.free_bytes));
}

void Metrics::SetClipping(std::vector<ModelClipping> models) {
  impl_->clipping.Set(std::move(models));
}

void Metrics::CountRemovedBlobs(int64_t blobs, int64_t bytes) {
  impl_->removed_blobs.Increment(static_cast<double>(blobs));
  impl_->removed_bytes.Increment(static_cast<double>(bytes));
}

std::string Metrics::Scrape() const {
  std::vector<prometheus::MetricFamily> families = impl_->registry.Collect();
  for (auto& family : impl_->clipping.Collect()) families.push_back(std::move(family));
  for (auto& family : impl_->process.Collect()) families.push_back(std::move(family));
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace haq::server::metrics
