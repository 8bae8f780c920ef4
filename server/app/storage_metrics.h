// Sizes of what the data folder holds, looked at when somebody scrapes, but not more often than
// once in kLookEvery.
#pragma once

#include <chrono>
#include <filesystem>
#include <mutex>

#include "server/metrics/metrics.h"
#include "server/store/data_folder.h"

namespace haq::server::app {

// Thread-safe.
class StorageMetrics {
 public:
  static constexpr std::chrono::seconds kLookEvery{15};

  // Both must outlive it.
  StorageMetrics(const store::DataFolder& folder, metrics::Metrics& metrics)
      : folder_(folder), metrics_(metrics) {}

  void Update();

 private:
  const store::DataFolder& folder_;
  metrics::Metrics& metrics_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point next_{};  // guarded by mutex_
};

}  // namespace haq::server::app
