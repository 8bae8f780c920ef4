// Some outputs of a problem as tensors. Private to core/adaround.
#pragma once

#include <torch/torch.h>

#include "core/adaround/adaround.h"

namespace haq::adaround {

// What one thread works on: outputs of one group, or (where a group has one output, as in depthwise
// convolutions) of several.
struct Part {
  int64_t first_group = 0, groups = 1;
  int64_t first_output = 0, outputs = 0;
};

// Weights of the part's outputs in units of their scales, [O, K] (not necessarily whole numbers),
// and biases [O].
struct Weights {
  torch::Tensor levels, bias;
};

// Ends of the intervals, [rows, O].
struct Targets {
  torch::Tensor low, high;
};

// With a free bias the equations are those of the inputs without their mean over the learned rows,
//   bias'[o] + scale[o] * sum over k of (x[r][k] - mean[k]) * level[o][k],
// because then the best bias hardly depends on the levels. Biases here are those of this form.
class Equations {
 public:
  // Refers to `problem`.
  Equations(const Problem& problem, const Part& part, bool free_bias);

  int64_t train_rows() const { return problem_.train_rows; }
  int64_t judging_rows() const { return problem_.rows - problem_.train_rows; }
  int64_t inputs() const { return problem_.inputs; }
  // The problem's weights and biases.
  const Weights& real() const { return real_; }
  // [O]: the mean square error that rounding to the nearest level would have if the inputs were
  // uncorrelated: the natural unit of the errors.
  const torch::Tensor& unit() const { return unit_; }
  const Targets& targets() const { return targets_; }

  // Signed distances of rows [first, first + count) from `targets`, [count, O]. Differentiable in
  // the weights. The distance from an interval is convex in them, also where the FP32 network's
  // value is above a clamp's low end and the sum below it: the clamp's own error has no slope
  // there.
  torch::Tensor Distances(const Targets& targets, int64_t first, int64_t count,
                          const Weights& weights) const;
  // Targets for the learned rows that `weights` meet exactly: those of the problem, moved by the
  // distances that `weights` leave.
  Targets TargetsMetBy(const Weights& weights) const;
  // Mean square distance from the problem's targets over the judging rows, [O] doubles.
  torch::Tensor JudgedError(const Weights& weights) const;
  // [O]: whether `after` has less judged error than `before`, by more than the standard error of
  // the difference.
  torch::Tensor IsBetter(const Weights& before, const Weights& after) const;
  // The bias that makes the mean error before the clamp vanish over the learned rows, as far as it
  // stands out from its own uncertainty.
  torch::Tensor FitBias(const Weights& weights) const;
  // `levels` with the problem's bias.
  Weights WithPlainBias(const torch::Tensor& levels) const;
  // The bias for inputs as they are.
  torch::Tensor PlainBias(const Weights& weights) const;

 private:
  torch::Tensor Sums(int64_t first, int64_t count, const Weights& weights) const;
  // Calls add(distances) for all rows in [first, last), in portions.
  template <typename Add>
  void ForRows(int64_t first, int64_t last, const Add& add) const;

  const Problem& problem_;
  const bool depthwise_;
  torch::Tensor x_;      // [rows, K], or [O, rows, K] where every output is a group
  torch::Tensor scale_;  // [O, 1]
  torch::Tensor mean_;   // [1 or O, K]: subtracted from the inputs
  torch::Tensor unit_;
  torch::Tensor plain_bias_;  // the problem's
  Weights real_;
  torch::Tensor target_;  // before the clamp
  Targets targets_;
};

}  // namespace haq::adaround
