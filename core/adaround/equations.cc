#include "core/adaround/equations.h"

#include <algorithm>

#include "core/adaround/product.h"

namespace haq::adaround {
namespace {

using torch::Tensor;

// Rows that are looked at at a time where all are: their distances stay in the cache.
constexpr int64_t kPortion = 1024;

Tensor View(const float* data, at::IntArrayRef shape) {
  return torch::from_blob(const_cast<float*>(data), shape, torch::kFloat);
}

Tensor Distance(const Tensor& sums, const Tensor& low, const Tensor& high) {
  return torch::relu(sums - high) - torch::relu(low - sums);
}

}  // namespace

Equations::Equations(const Problem& problem, const Part& part, bool free_bias)
    : problem_(problem), depthwise_(problem.groups > 1 && problem.groups == problem.outputs) {
  const torch::NoGradGuard no_grad;
  const int64_t rows = problem.rows, inputs = problem.inputs, outputs = part.outputs;
  const float* x = problem.x.data() + part.first_group * rows * inputs;
  x_ = depthwise_ ? View(x, {outputs, rows, inputs}) : View(x, {rows, inputs});
  const auto columns = [&](const std::vector<float>& all) {
    return View(all.data(), {rows, problem.outputs})
        .narrow(1, part.first_output, outputs)
        .contiguous();
  };
  target_ = columns(problem.target);
  targets_ = {columns(problem.low), columns(problem.high)};
  std::vector<float> scales(problem.scales.begin() + part.first_output,
                            problem.scales.begin() + part.first_output + outputs);
  scale_ = View(scales.data(), {outputs, 1}).clone();
  const Tensor weight = View(problem.weight.data() + part.first_output * inputs, {outputs, inputs});

  const int64_t dim = depthwise_ ? 1 : 0;  // of the rows
  const Tensor learned = x_.narrow(dim, 0, problem.train_rows);
  const auto shaped = [&](const Tensor& t) { return depthwise_ ? t : t.unsqueeze(0); };
  mean_ = shaped(learned.mean(dim));
  Tensor power = shaped(learned.var(dim, /*unbiased=*/false));
  if (!free_bias) {
    power += mean_.square();
    mean_ = torch::zeros_like(mean_);
  }
  unit_ = (power * scale_.square()).sum(1) / 12;
  // Inputs that never change: the distances do not depend on the weights.
  unit_ = torch::where(unit_ > 1e-30, unit_, torch::ones_like(unit_));
  plain_bias_ = View(problem.bias.data() + part.first_output, {outputs}).clone();
  real_ = WithPlainBias(weight / scale_);
}

Tensor Equations::Sums(int64_t first, int64_t count, const Weights& weights) const {
  const Tensor w = weights.levels * scale_;
  const Tensor constant = weights.bias - (w * mean_).sum(1);
  if (!depthwise_) return Product(x_.narrow(0, first, count), w) + constant;
  return (x_.narrow(1, first, count) * w.unsqueeze(1)).sum(2).t() + constant;
}

Tensor Equations::Distances(const Targets& targets, int64_t first, int64_t count,
                            const Weights& weights) const {
  return Distance(Sums(first, count, weights), targets.low.narrow(0, first, count),
                  targets.high.narrow(0, first, count));
}

template <typename Add>
void Equations::ForRows(int64_t first, int64_t last, const Add& add) const {
  const torch::NoGradGuard no_grad;
  for (int64_t at = first; at < last; at += kPortion) add(at, std::min(kPortion, last - at));
}

Targets Equations::TargetsMetBy(const Weights& weights) const {
  Targets moved{targets_.low.clone(), targets_.high.clone()};
  ForRows(0, train_rows(), [&](int64_t at, int64_t count) {
    const Tensor distances = Distances(targets_, at, count, weights);
    moved.low.narrow(0, at, count).add_(distances);
    moved.high.narrow(0, at, count).add_(distances);
  });
  return moved;
}

Tensor Equations::JudgedError(const Weights& weights) const {
  Tensor sum = torch::zeros({scale_.size(0)}, torch::kDouble);
  ForRows(train_rows(), problem_.rows, [&](int64_t at, int64_t count) {
    sum += Distances(targets_, at, count, weights).square().sum(0).to(torch::kDouble);
  });
  return sum / static_cast<double>(std::max<int64_t>(1, judging_rows()));
}

Tensor Equations::IsBetter(const Weights& before, const Weights& after) const {
  const auto count = static_cast<double>(judging_rows());
  Tensor sum = torch::zeros({scale_.size(0)}, torch::kDouble), squares = torch::zeros_like(sum);
  ForRows(train_rows(), problem_.rows, [&](int64_t at, int64_t rows) {
    const Tensor gain = (Distances(targets_, at, rows, before).square() -
                         Distances(targets_, at, rows, after).square())
                            .to(torch::kDouble);
    sum += gain.sum(0);
    squares += gain.square().sum(0);
  });
  if (count < 2) return torch::zeros_like(sum, torch::kBool);
  const Tensor variance = (squares - sum.square() / count).clamp_min(0) / (count - 1);
  return sum / count > (variance / count).sqrt();
}

Tensor Equations::FitBias(const Weights& weights) const {
  const auto count = static_cast<double>(train_rows());
  Tensor sum = torch::zeros({scale_.size(0)}, torch::kDouble), squares = torch::zeros_like(sum);
  ForRows(0, train_rows(), [&](int64_t at, int64_t rows) {
    const Tensor errors =
        (Sums(at, rows, weights) - target_.narrow(0, at, rows)).to(torch::kDouble);
    sum += errors.sum(0);
    squares += errors.square().sum(0);
  });
  if (count < 2) return weights.bias;
  const Tensor mean = sum / count;
  const Tensor variance = (squares - sum * mean).clamp_min(0) / (count - 1) / count;
  // What is left of the mean once its own uncertainty is taken off (James and Stein, 1961).
  const Tensor known = (1 - variance / mean.square().clamp_min(1e-60)).clamp_min(0);
  return weights.bias - (mean * known).to(torch::kFloat);
}

Weights Equations::WithPlainBias(const Tensor& levels) const {
  return {levels, plain_bias_ + (levels * scale_ * mean_).sum(1)};
}

Tensor Equations::PlainBias(const Weights& weights) const {
  return weights.bias - (weights.levels * scale_ * mean_).sum(1);
}

}  // namespace haq::adaround
