// Hands what happens to jobs on to the metrics.
#pragma once

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

 private:
  metrics::Metrics& metrics_;
};

}  // namespace haq::server::app
