// What the server counts, and its text for Prometheus; docs/metrics.md lists every metric.
//
// The number of time series is bounded: a model's label appears when the model is loaded and goes
// with it, requests for any other name count under kUnknownModel, and every other label takes its
// values from a fixed set.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "server/metrics/clipping.h"

namespace haq::server::metrics {

// No model can have this name.
inline constexpr std::string_view kUnknownModel = "_unknown";
inline constexpr std::string_view kOtherPhase = "other";

// Thread-safe.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // From now on `model` has time series of its own.
  void AddModel(const std::string& model);
  // Drops the time series of `model`.
  void RemoveModel(const std::string& model);

  // One inference request ended. `images` were answered: 0 unless `code` is kOk.
  void CountInference(const std::string& model, StatusCode code, int64_t images, double seconds);
  // The part of a request's time spent waiting for a thread, and running the network.
  void ObserveInferenceStages(const std::string& model, double queue_seconds,
                              double compute_seconds);
  // Samples that ran together, of however many requests.
  void ObserveBatch(const std::string& model, int64_t samples);
  // Requests for `model` that wait for a thread; nothing for a model without series.
  void SetInferenceQueue(const std::string& model, int64_t requests);

  // How many requests of one model may wait.
  void SetInferenceQueueLimit(int64_t requests);

  // A session of some model gave other results for its golden inputs than the artifact says.
  void CountSelfTestFailure();

  // The kernels that inference runs on.
  void SetKernels(std::string_view kernels);

  // `method` as in the URL path ("/inference.GRPCInferenceService/ModelInfer"), of a service that
  // the server has.
  void CountRpc(std::string_view method, std::string_view code);
  // `route` is the pattern that matched, or "none".
  void CountHttp(std::string_view route, int status);

  // Jobs per state; `state` is "queued", "running", "succeeded", "failed" or "cancelled".
  void SetJobs(std::string_view state, int64_t jobs);
  // A job left `from` (empty: it is new) and is in `to` now.
  void MoveJob(std::string_view from, std::string_view to);
  void AddCalibrationImages(int64_t images);
  // Of all jobs that calibrate now, together.
  void SetCalibrationSpeed(double images_per_second);
  // A phase of a job that the server does not know counts as kOtherPhase.
  void ObserveJobPhase(const std::string& phase, double seconds);
  void CountWorkerRestart(bool crashed);
  // Whether that mechanism isolates the workers of this server.
  void SetWorkerIsolation(std::string_view mechanism, bool on);

  // How good the served version of a model is; what is not set has no series.
  struct Figures {
    int64_t version = 0;
    // Fractions.
    std::optional<double> fp32_top1 = {}, int8_top1 = {}, agreement = {};
    std::optional<double> sqnr_db = {};
  };
  void SetServedFigures(const std::string& model, const Figures& figures);
  void RemoveServedFigures(const std::string& model);

  // What the data folder holds.
  struct Storage {
    int64_t database_bytes = 0, blobs = 0, blob_bytes = 0, free_bytes = 0;
  };
  void SetStorage(const Storage& storage);
  // Blobs that nothing referred to were removed.
  void CountRemovedBlobs(int64_t blobs, int64_t bytes);

  // Of the models that are watched for clipping, now.
  void SetClipping(std::vector<ModelClipping> models);

  // Text exposition format 0.0.4, kContentType.
  std::string Scrape() const;
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace haq::server::metrics
