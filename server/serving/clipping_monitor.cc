#include "server/serving/clipping_monitor.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

namespace haq::server::serving {
namespace {

constexpr std::chrono::seconds kAtLeastEvery{1};

// A label is no place for the 4 KiB that a tensor's name may have.
constexpr size_t kMaxLabel = 128;

int64_t ElementsOf(const runtime::LoadedModel& model, const artifact::TensorClipping& tensor) {
  return model.model().tensors[static_cast<size_t>(tensor.tensor)].ElementCount();
}

std::vector<ClippingEstimate::Tensor> Calibrated(const runtime::LoadedModel& model,
                                                 const artifact::Clipping& baseline) {
  std::vector<ClippingEstimate::Tensor> tensors;
  for (const artifact::TensorClipping& tensor : baseline.tensors) {
    const int64_t elements = ElementsOf(model, tensor);
    tensors.push_back({elements, static_cast<double>(tensor.clipped) /
                                     static_cast<double>(baseline.images * elements)});
  }
  return tensors;
}

}  // namespace

Result<std::unique_ptr<ClippingMonitor>> ClippingMonitor::Create(
    std::shared_ptr<const runtime::LoadedModel> model, const Settings& settings) {
  std::unique_ptr<ClippingMonitor> none;
  if (settings.clipping_sample == 0) return none;
  HAQ_ASSIGN_OR_RETURN(artifact::Clipping baseline, artifact::ReadClipping(model->model()));
  if (baseline.images == 0 || baseline.tensors.empty()) return none;
  return std::unique_ptr<ClippingMonitor>(
      new ClippingMonitor(std::move(model), std::move(baseline), settings));
}

ClippingMonitor::ClippingMonitor(std::shared_ptr<const runtime::LoadedModel> model,
                                 artifact::Clipping baseline, const Settings& settings)
    : model_(std::move(model)),
      baseline_(std::move(baseline)),
      counter_(model_, baseline_.tensors),
      every_(settings.clipping_sample),
      shown_tensors_(static_cast<size_t>(settings.clipping_tensors)),
      estimate_(Calibrated(*model_, baseline_),
                std::chrono::duration<double>(settings.clipping_half_life_s)) {}

bool ClippingMonitor::Due(int64_t samples, Time now) {
  const int64_t before = samples_.fetch_add(samples, std::memory_order_relaxed);
  Time::rep last = last_count_.load(std::memory_order_relaxed);
  const Time::rep time = now.time_since_epoch().count();
  const bool by_number = before / every_ != (before + samples) / every_;
  const bool by_time = time - last >= Time::duration(kAtLeastEvery).count();
  if (!by_number && !by_time) return false;
  // Of threads that see the same second pass, one counts.
  return last_count_.compare_exchange_strong(last, time, std::memory_order_relaxed) || by_number;
}

Status ClippingMonitor::RunCounted(runtime::Session& session, std::span<const float> input,
                                   std::span<float> output) {
  std::vector<int64_t> counts(counter_.size());
  HAQ_RETURN_IF_ERROR(session.Run(1, input, output, counter_.TapInto(counts)));
  const Time now = Time::clock::now();
  const std::lock_guard lock(mutex_);
  estimate_.Add(counts, now);
  ++images_;
  return {};
}

metrics::ModelClipping ClippingMonitor::Figures(const std::string& model, int64_t version,
                                                Time now) const {
  metrics::ModelClipping figures{.model = model, .version = version, .tensors = {}};
  ClippingEstimate::Drift drift;
  {
    const std::lock_guard lock(mutex_);
    drift = estimate_.At(now);
    figures.images = images_;
  }
  figures.drift = drift.worst;
  figures.mean_drift = drift.mean;
  const auto calibrated = Calibrated(*model_, baseline_);
  for (size_t i = 0; i < drift.tensors.size() && figures.tensors.size() < shown_tensors_; ++i) {
    const std::string& name =
        model_->model().tensors[static_cast<size_t>(baseline_.tensors[i].tensor)].name;
    if (name.size() > kMaxLabel) continue;
    figures.tensors.push_back(
        {name, drift.tensors[i].ratio, calibrated[i].calibrated_ratio, drift.tensors[i].drift});
  }
  return figures;
}

}  // namespace haq::server::serving
