// How often activations of served models are clipped, as metrics; see docs/metrics.md.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace prometheus {
struct MetricFamily;
}

namespace haq::server::metrics {

// Of the version that a model serves. Ratios are shares of a tensor's elements; drifts compare
// with the calibration and are 1 where nothing changed.
struct ModelClipping {
  struct Tensor {
    std::string name;
    double ratio = 0, calibrated_ratio = 0, drift = 1;
  };
  std::string model;
  int64_t version = 0;
  int64_t images = 0;                // that were counted since the version was loaded
  double drift = 1, mean_drift = 1;  // of the worst tensor, and on average
  std::vector<Tensor> tensors;
};

// Thread-safe.
class ClippingCollector {
 public:
  // Of all served models that are watched.
  void Set(std::vector<ModelClipping> models);
  std::vector<prometheus::MetricFamily> Collect() const;

 private:
  mutable std::mutex mutex_;
  std::vector<ModelClipping> models_;  // guarded by mutex_
};

}  // namespace haq::server::metrics
