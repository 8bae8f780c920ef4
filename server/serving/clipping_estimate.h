// How much more often than at calibration the levels of a served model lie at an end of their
// range. No threads and no clock: every call is told what time it is.
//
// Of a tensor with m elements, of which the share r0 was clipped at calibration, `c` were clipped
// and `n` elements were looked at in the time that counts:
//
//   drift = (c + n f + p) / (n (r0 + f) + p),   p = 16 m (r0 + f) + 16,   f = 1 / 10,000
//
// It is 1 where production clips as calibration did, and goes to (c / n + f) / (r0 + f) as n grows.
// f: a share below one in ten thousand costs no accuracy, so that a tensor which never clipped is
// not alarming when it does once. p, as much as 16 images and 16 clipped elements that are like the
// calibration's, keeps the first few images from looking like a drift.
//
// What was counted fades: it weighs half as much after every half-life.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

namespace haq::server::serving {

// Not thread-safe.
class ClippingEstimate {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Tensor {
    int64_t elements = 0;         // of one image
    double calibrated_ratio = 0;  // r0
  };

  ClippingEstimate(std::vector<Tensor> tensors, std::chrono::duration<double> half_life);

  // `clipped` elements of each tensor of one image. Time does not go back.
  void Add(std::span<const int64_t> clipped, Time now);

  struct TensorDrift {
    double ratio = 0;  // c / n; 0 without images
    double drift = 1;
  };
  struct Drift {
    double images = 0;  // that the figures stand on, faded ones in part
    double worst = 1, mean = 1;
    std::vector<TensorDrift> tensors;
  };
  Drift At(Time now) const;

 private:
  // What weighed 1 at time_ weighs at `now`.
  double Faded(Time now) const;
  TensorDrift DriftOf(const Tensor& tensor, double clipped, double images) const;

  const std::vector<Tensor> tensors_;
  const std::chrono::duration<double> half_life_;
  Time time_{};  // of the last Add, when the sums were right
  double images_ = 0;
  std::vector<double> clipped_;  // by tensor
};

}  // namespace haq::server::serving
