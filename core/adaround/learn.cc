#include "core/adaround/learn.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace haq::adaround {
namespace {

using torch::Tensor;

// The rectified sigmoid's stretch (Nagel et al. 2020, equation 23) and the exponent's way from flat
// to sharp (their section 4).
constexpr double kHigh = 1.1, kLow = -0.1;
constexpr double kFirstBeta = 20, kLastBeta = 2;
constexpr double kShareWithoutRegularization = 0.2;
constexpr double kLastRate = 0.1;  // of the first

class Learner {
 public:
  Learner(const Problem& problem, const Options& options, const Part& part,
          const CancellationToken& cancellation)
      : options_(options),
        cancellation_(cancellation),
        equations_(problem, part, options.fit_bias) {}

  Status Run(PartSolution& solution) {
    const Weights nearest = NearestTo(equations_.real());
    Weights learned = equations_.real();
    if (options_.steps > 0) {
      HAQ_RETURN_IF_ERROR(Round(learned));
    } else {
      learned = nearest;
    }
    const torch::NoGradGuard no_grad;
    Choose(Fitted(nearest), Fitted(learned), solution);
    return {};
  }

 private:
  Weights NearestTo(const Weights& weights) const {
    return equations_.WithPlainBias(weights.levels.round().clamp(-127, 127));
  }
  Weights Fitted(const Weights& weights) const {
    return options_.fit_bias ? Weights{weights.levels, equations_.FitBias(weights)} : weights;
  }

  // The rows of one step: they stand in random order, so that neighbours make a random batch.
  std::pair<int64_t, int64_t> BatchOf(int64_t step) const {
    const int64_t rows = std::min(options_.batch_rows, equations_.train_rows());
    return {step % (equations_.train_rows() / rows) * rows, rows};
  }

  // Sum over the outputs of the mean square distance, in units.
  Tensor Loss(const Targets& targets, int64_t step, const Weights& weights) const {
    const auto [first, count] = BatchOf(step);
    const Tensor distances = equations_.Distances(targets, first, count, weights);
    return (distances.square().mean(0) / equations_.unit()).sum();
  }

  // Rounds `weights` up or down, such that the sums stay what they are.
  Status Round(Weights& weights) const {
    const Targets targets = equations_.TargetsMetBy(weights);
    const Tensor floor = weights.levels.floor().clamp(-127, 126);
    // Not quite at the ends, where the sigmoid has no slope left.
    const Tensor part = (weights.levels - floor).clamp(0.01, 0.99);
    Tensor logits = torch::log((part - kLow) / (kHigh - part)).requires_grad_();
    torch::optim::Adam adam({logits}, torch::optim::AdamOptions(options_.rate));
    for (int64_t step = 0; step < options_.steps; ++step) {
      if (step % 16 == 0) HAQ_RETURN_IF_ERROR(cancellation_.Check());
      const double time = double(step) / double(options_.steps);
      auto& settings = static_cast<torch::optim::AdamOptions&>(adam.param_groups()[0].options());
      settings.lr(options_.rate * (1 - (1 - kLastRate) * time));
      const Tensor up = (torch::sigmoid(logits) * (kHigh - kLow) + kLow).clamp(0, 1);
      adam.zero_grad();
      (Loss(targets, step, {floor + up, weights.bias}) + Regularization(up, time)).backward();
      adam.step();
    }
    const torch::NoGradGuard no_grad;
    weights = equations_.WithPlainBias(floor + (logits > 0).to(torch::kFloat));
    return {};
  }

  // Zero where every `up` is 0 or 1.
  Tensor Regularization(const Tensor& up, double time) const {
    if (time < kShareWithoutRegularization) return torch::zeros({});
    const double way = (time - kShareWithoutRegularization) / (1 - kShareWithoutRegularization);
    const double beta =
        kLastBeta + (kFirstBeta - kLastBeta) * 0.5 * (1 + std::cos(way * std::numbers::pi));
    return (1 - (2 * up - 1).abs().pow(beta)).sum() *
           (options_.regularization / static_cast<double>(equations_.inputs()));
  }

  void Choose(const Weights& nearest, const Weights& learned, PartSolution& solution) const {
    const Tensor better = equations_.IsBetter(nearest, learned);
    const Weights chosen{torch::where(better.unsqueeze(1), learned.levels, nearest.levels),
                         torch::where(better, learned.bias, nearest.bias)};
    const Weights plain = equations_.WithPlainBias(nearest.levels);
    solution.nearest_error = equations_.JudgedError(plain).sum().item<double>();
    solution.error = equations_.JudgedError(chosen).sum().item<double>();
    solution.learned_outputs = (chosen.levels != nearest.levels).any(1).sum().item<int64_t>();
    const Tensor levels = chosen.levels.to(torch::kInt8).contiguous();
    const Tensor bias = equations_.PlainBias(chosen).contiguous();
    solution.weights.assign(levels.data_ptr<int8_t>(), levels.data_ptr<int8_t>() + levels.numel());
    solution.bias.assign(bias.data_ptr<float>(), bias.data_ptr<float>() + bias.numel());
  }

  const Options& options_;
  const CancellationToken& cancellation_;
  const Equations equations_;
};

}  // namespace

Status LearnPart(const Problem& problem, const Options& options, const Part& part,
                 const CancellationToken& cancellation, PartSolution& solution) {
  return Learner(problem, options, part, cancellation).Run(solution);
}

}  // namespace haq::adaround
