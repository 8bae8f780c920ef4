#include "server/serving/clipping_estimate.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace haq::server::serving {
namespace {

constexpr double kFloor = 1e-4;
constexpr double kPriorImages = 16, kPriorClipped = 16;

}  // namespace

ClippingEstimate::ClippingEstimate(std::vector<Tensor> tensors,
                                   std::chrono::duration<double> half_life)
    : tensors_(std::move(tensors)), half_life_(half_life), clipped_(tensors_.size()) {}

double ClippingEstimate::Faded(Time now) const {
  return std::exp2(-std::max(std::chrono::duration<double>(now - time_) / half_life_, 0.0));
}

void ClippingEstimate::Add(std::span<const int64_t> clipped, Time now) {
  const double weight = Faded(now);
  images_ = images_ * weight + 1;
  for (size_t i = 0; i < clipped_.size(); ++i) {
    clipped_[i] = clipped_[i] * weight + static_cast<double>(clipped[i]);
  }
  time_ = now;
}

ClippingEstimate::TensorDrift ClippingEstimate::DriftOf(const Tensor& tensor, double clipped,
                                                        double images) const {
  const auto elements = static_cast<double>(tensor.elements);
  const double expected = tensor.calibrated_ratio + kFloor;
  const double prior = kPriorImages * elements * expected + kPriorClipped;
  const double n = images * elements;
  return {n > 0 ? clipped / n : 0, (clipped + n * kFloor + prior) / (n * expected + prior)};
}

ClippingEstimate::Drift ClippingEstimate::At(Time now) const {
  const double weight = Faded(now);
  Drift drift;
  drift.images = images_ * weight;
  if (tensors_.empty()) return drift;
  double sum = 0;
  drift.worst = 0;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    drift.tensors.push_back(DriftOf(tensors_[i], clipped_[i] * weight, drift.images));
    drift.worst = std::max(drift.worst, drift.tensors.back().drift);
    sum += drift.tensors.back().drift;
  }
  drift.mean = sum / static_cast<double>(tensors_.size());
  return drift;
}

}  // namespace haq::server::serving
