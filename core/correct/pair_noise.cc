#include "core/correct/pair_noise.h"

#include <algorithm>
#include <cmath>

namespace haq::correct {
namespace {

constexpr int kIterations = 300;
constexpr double kFirstRate = 0.2, kLastRate = 0.002;  // of log s, per iteration

double Power16(double x) {
  const double x2 = x * x, x4 = x2 * x2, x8 = x4 * x4;
  return x8 * x8;
}

}  // namespace

PairNoise::Factors::Factors(const std::vector<double>& log_scale)
    : scale(log_scale.size()), inverse(log_scale.size()) {
  for (size_t c = 0; c < log_scale.size(); ++c) {
    scale[c] = std::exp(log_scale[c]);
    inverse[c] = 1 / scale[c];
  }
}

double PairNoise::Evaluate(const std::vector<double>& log_scale) const {
  const Factors factors(log_scale);
  double noise = 0;
  for (const SharedStep& step : steps_) {
    const std::vector<double>& factor = factors.Of(step);
    const std::vector<double>& inverse = factors.InverseOf(step);
    double largest = 0, cost = 0;
    for (int64_t c = 0; c < channels_; ++c) {
      largest = std::max(largest, step.magnitude[c] * factor[c]);
      cost += step.cost[c] * inverse[c] * inverse[c];
    }
    noise += largest * largest / (step.levels * step.levels) * cost;
  }
  return noise;
}

// With the step squared S and the costs' sum C, d(S C) = S C (d log S + d log C).
double PairNoise::SmoothWithGradient(const std::vector<double>& log_scale,
                                     std::vector<double>& gradient) const {
  const Factors factors(log_scale);
  std::fill(gradient.begin(), gradient.end(), 0);
  double noise = 0;
  std::vector<double> power(channels_), cost(channels_);
  for (const SharedStep& step : steps_) {
    const std::vector<double>& factor = factors.Of(step);
    const std::vector<double>& inverse = factors.InverseOf(step);
    double largest = 0, total_cost = 0, total_power = 0;
    for (int64_t c = 0; c < channels_; ++c) {
      power[c] = step.magnitude[c] * factor[c];
      largest = std::max(largest, power[c]);
      cost[c] = step.cost[c] * inverse[c] * inverse[c];
      total_cost += cost[c];
    }
    if (largest == 0) continue;
    for (int64_t c = 0; c < channels_; ++c) {
      power[c] = Power16(power[c] / largest);
      total_power += power[c];
    }
    const double norm = largest * std::pow(total_power, 1.0 / 16) / step.levels;
    const double squared = norm * norm, sign = step.rises ? -1 : 1;
    noise += squared * total_cost;
    for (int64_t c = 0; c < channels_; ++c) {
      gradient[c] += sign * squared * 2 * (total_cost * power[c] / total_power - cost[c]);
    }
  }
  return noise;
}

std::vector<double> PairNoise::Minimize(double limit) const {
  std::vector<double> at(channels_, 0.0), gradient(channels_), mean(channels_, 0.0),
      square(channels_, 0.0);
  std::vector<double> best = at;
  double best_noise = Evaluate(at);
  // Adam (Kingma and Ba, 2015) on the logarithm of the noise, whose unit does not matter.
  for (int i = 1; i <= kIterations; ++i) {
    const double noise = SmoothWithGradient(at, gradient);
    if (!(noise > 0)) break;
    const double rate = kFirstRate * std::pow(kLastRate / kFirstRate, double(i) / kIterations);
    const double mean_weight = 1 - std::pow(0.9, i), square_weight = 1 - std::pow(0.99, i);
    for (int64_t c = 0; c < channels_; ++c) {
      const double g = gradient[c] / noise;
      mean[c] = 0.9 * mean[c] + 0.1 * g;
      square[c] = 0.99 * square[c] + 0.01 * g * g;
      const double step = mean[c] / mean_weight / (std::sqrt(square[c] / square_weight) + 1e-12);
      at[c] = std::clamp(at[c] - rate * step, -limit, limit);
    }
    const double now = Evaluate(at);
    if (now < best_noise) best_noise = now, best = at;
  }
  return best;
}

}  // namespace haq::correct
