// Hands what happens to jobs and versions on to the metrics, and logs it.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "server/api/artifact_listener.h"
#include "server/jobs/listener.h"
#include "server/jobs/queue.h"
#include "server/metrics/metrics.h"

namespace haq::server::app {

class JobMetrics : public jobs::Listener {
 public:
  explicit JobMetrics(metrics::Metrics& metrics) : metrics_(metrics) {}

  // Counts the jobs that are stored; before any job can change.
  Status Count(jobs::Queue& queue);

  void OnStateChange(const std::string& job, jobs::JobState from, jobs::JobState to) override;
  void OnCalibrationImages(int64_t images) override;
  void OnCalibrationSpeed(const std::string& job, double images_per_second) override;
  void OnPhase(const std::string& phase, double seconds) override;
  void OnWorkerRestart(bool crashed) override;

 private:
  metrics::Metrics& metrics_;

  std::mutex mutex_;
  std::map<std::string, double> speeds_;  // of jobs that calibrate; guarded by mutex_
};

// Between the service and serving: everything goes on to `next`, and figures become metrics.
class FigureMetrics : public api::ArtifactListener {
 public:
  FigureMetrics(metrics::Metrics& metrics, api::ArtifactListener& next)
      : metrics_(metrics), next_(next) {}

  void OnVersionRegistered(const std::string& model_id, int64_t version,
                           const std::filesystem::path& path) override;
  void OnFigures(const std::string& model_id, const api::ServedFigures& figures) override;
  void OnModelDeleted(const std::string& model_id) override;

 private:
  metrics::Metrics& metrics_;
  api::ArtifactListener& next_;
};

}  // namespace haq::server::app
