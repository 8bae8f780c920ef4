// Learned rounding of one layer's weights, on LibTorch's autograd.
//
// Rounding every weight to the nearest level is not the best rounding: what counts is the error of
// the layer's sums, and there the errors of weights whose inputs are correlated can cancel. The
// rounding is learned as in "Up or Down? Adaptive Rounding for Post-Training Quantization" (Nagel
// et al. 2020); docs/method.md has what was added, the equations and figures.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/base/cancellation.h"
#include "core/base/status.h"
#include "core/base/thread_pool.h"

namespace haq::adaround {

// A layer as equations: for every row r and output o of group g,
//   low[r][o] <= bias[o] + scale[o] * sum over k of x[g][r][k] * q[o][k] <= high[r][o].
// The error of a row is its distance from the interval. Where what the FP32 network has is clamped,
// the interval goes on to infinity; elsewhere its ends are equal to `target`.
struct Problem {
  int64_t rows = 0;
  int64_t train_rows = 0;  // the first ones are learned from, the others judge
  int64_t groups = 1;
  int64_t inputs = 0;            // K, of one group
  int64_t outputs = 0;           // O, of all groups; those of a group stand together
  std::vector<float> x;          // [groups][rows][K]: what the quantized network gives
  std::vector<float> target;     // [rows][O]: what the FP32 network has before its clamp
  std::vector<float> low, high;  // [rows][O]: what is as good after the clamp
  std::vector<float> weight;     // [O][K]
  std::vector<double> scales;    // [O], positive
  std::vector<float> bias;       // [O]
};

// The defaults are those of docs/method.md.
struct Options {
  bool fit_bias = false;      // to the mean of the targets
  int64_t batch_rows = 256;   // of one step
  int64_t steps = 1000;       // 0 rounds to the nearest level
  double rate = 0.3;          // of Adam, in the logits of the rounding
  double regularization = 3;  // weight of the term that drives every weight to a level
  // Multiply-adds of one problem's learning; a layer that would need more takes fewer steps.
  int64_t work_limit = 10'000'000'000'000;
};

struct Solution {
  std::vector<int8_t> weights;  // [O][K], in [-127, 127]
  std::vector<float> bias;      // [O]; the problem's unless it was to be fitted
  int64_t learned_outputs = 0;  // the others keep the nearest levels
  // Mean square error over the judging rows, summed over the outputs: of the nearest levels with
  // the problem's bias, and of this solution.
  double nearest_error = 0, error = 0;
};

// Every output keeps its nearest levels unless the judging rows confirm that what was learned is
// better. The bits of the solution depend on the problem and the options, not on the number of
// threads. `progress` (may be empty) is called from the calling thread with the share that is done.
// kInvalidArgument for sizes that disagree, kCancelled soon after the token was cancelled,
// kInternal with LibTorch's message.
Result<Solution> Learn(const Problem& problem, const Options& options, ThreadPool& pool,
                       const CancellationToken& cancellation,
                       const std::function<void(double)>& progress = {});

}  // namespace haq::adaround
