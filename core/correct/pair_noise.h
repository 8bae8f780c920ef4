// The estimate that equalization minimizes: what rounding costs around one value, as a function of
// the scale of each of its channels. Private to core/correct.
#pragma once

#include <cstdint>
#include <vector>

namespace haq::correct {

// Numbers that are rounded with one step, the largest of magnitude[c] * s_c over `levels`. A step
// of d costs d^2 times the sum of cost[c] / s_c^2. With `rises` it is 1 / s_c instead of s_c.
struct SharedStep {
  std::vector<float> magnitude;  // by channel
  std::vector<double> cost;      // by channel
  bool rises = false;
  double levels = 127;
};

class PairNoise {
 public:
  explicit PairNoise(int64_t channels) : channels_(channels) {}
  void Add(SharedStep step) { steps_.push_back(std::move(step)); }

  // Sum over all steps; log_scale[c] = log s_c.
  double Evaluate(const std::vector<double>& log_scale) const;
  // The log scales that minimize it, within +-`limit` of 0, found by gradient descent from 0 on a
  // smooth form (the maximum as a norm of order 16) and judged by Evaluate.
  std::vector<double> Minimize(double limit) const;

 private:
  // s_c and 1 / s_c, as a step sees them.
  struct Factors {
    explicit Factors(const std::vector<double>& log_scale);
    const std::vector<double>& Of(const SharedStep& step) const {
      return step.rises ? inverse : scale;
    }
    const std::vector<double>& InverseOf(const SharedStep& step) const {
      return step.rises ? scale : inverse;
    }
    std::vector<double> scale, inverse;
  };
  double SmoothWithGradient(const std::vector<double>& log_scale,
                            std::vector<double>& gradient) const;
  int64_t channels_;
  std::vector<SharedStep> steps_;
};

}  // namespace haq::correct
