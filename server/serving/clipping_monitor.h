// Watches how often a served model's levels lie at an end of their range: counts a few of the
// inferences, and compares with what the artifact says of its calibration.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "core/artifact/clipping.h"
#include "core/base/status.h"
#include "core/runtime/clipping_counter.h"
#include "core/runtime/session.h"
#include "server/metrics/clipping.h"
#include "server/serving/clipping_estimate.h"
#include "server/serving/settings.h"

namespace haq::server::serving {

// Thread-safe.
class ClippingMonitor {
 public:
  using Time = ClippingEstimate::Time;

  // Nothing where the settings turn it off or the artifact says nothing of clipping. kDataLoss as
  // artifact::ReadClipping.
  static Result<std::unique_ptr<ClippingMonitor>> Create(
      std::shared_ptr<const runtime::LoadedModel> model, const Settings& settings);

  // Whether one of `samples` that run now is to be counted: one in Settings::clipping_sample, and
  // one a second where there are as many.
  bool Due(int64_t samples, Time now);
  // Runs one sample as session.Run does, and counts.
  Status RunCounted(runtime::Session& session, std::span<const float> input,
                    std::span<float> output);

  metrics::ModelClipping Figures(const std::string& model, int64_t version, Time now) const;

 private:
  ClippingMonitor(std::shared_ptr<const runtime::LoadedModel> model, artifact::Clipping baseline,
                  const Settings& settings);

  const std::shared_ptr<const runtime::LoadedModel> model_;
  const artifact::Clipping baseline_;
  const runtime::ClippingCounter counter_;
  const int64_t every_;
  const size_t shown_tensors_;
  std::atomic<int64_t> samples_ = 0;       // that ran
  std::atomic<Time::rep> last_count_ = 0;  // when a sample was last due, as Time counts

  mutable std::mutex mutex_;
  ClippingEstimate estimate_;  // guarded by mutex_
  int64_t images_ = 0;         // that were counted; guarded by mutex_
};

}  // namespace haq::server::serving
