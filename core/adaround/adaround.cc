#include "core/adaround/adaround.h"

#include <torch/torch.h>

#include <algorithm>

#include "core/adaround/learn.h"

namespace haq::adaround {
namespace {

// Outputs of one part. Parts have a fixed size and are worked on by one thread each, so that no sum
// depends on the number of threads.
constexpr int64_t kPartOutputs = 64;

std::vector<Part> Split(const Problem& problem) {
  std::vector<Part> parts;
  const int64_t of_group = problem.outputs / problem.groups;
  if (of_group == 1) {
    for (int64_t g = 0; g < problem.groups; g += kPartOutputs) {
      const int64_t count = std::min(kPartOutputs, problem.groups - g);
      parts.push_back({g, count, g, count});
    }
    return parts;
  }
  for (int64_t g = 0; g < problem.groups; ++g) {
    for (int64_t o = 0; o < of_group; o += kPartOutputs) {
      parts.push_back({g, 1, g * of_group + o, std::min(kPartOutputs, of_group - o)});
    }
  }
  return parts;
}

Status Check(const Problem& p) {
  const auto is = [](size_t size, int64_t wanted) { return size == static_cast<size_t>(wanted); };
  if (p.rows < 1 || p.train_rows < 1 || p.train_rows > p.rows || p.inputs < 1 || p.outputs < 1 ||
      p.groups < 1 || p.outputs % p.groups != 0) {
    return InvalidArgument("{} rows ({} to learn from), {} inputs, {} outputs in {} groups", p.rows,
                           p.train_rows, p.inputs, p.outputs, p.groups);
  }
  if (!is(p.x.size(), p.groups * p.rows * p.inputs) || !is(p.target.size(), p.rows * p.outputs) ||
      !is(p.low.size(), p.rows * p.outputs) || !is(p.high.size(), p.rows * p.outputs) ||
      !is(p.weight.size(), p.outputs * p.inputs) || !is(p.scales.size(), p.outputs) ||
      !is(p.bias.size(), p.outputs)) {
    return InvalidArgument(
        "{} inputs, {}, {} and {} targets, {} weights, {} scales and {} biases for {} rows of {} "
        "inputs "
        "in {} groups and {} outputs",
        p.x.size(), p.target.size(), p.low.size(), p.high.size(), p.weight.size(), p.scales.size(),
        p.bias.size(), p.rows, p.inputs, p.groups, p.outputs);
  }
  const auto bad =
      std::find_if(p.scales.begin(), p.scales.end(), [](double s) { return !(s > 0); });
  if (bad == p.scales.end()) return {};
  return InvalidArgument("scale {} is {}, it must be positive", bad - p.scales.begin(), *bad);
}

// Fewer steps where the work of all of them would be over the limit.
Options WithinLimit(const Problem& problem, Options options) {
  constexpr int64_t kFewestSteps = 50;
  const double step = 2.0 * static_cast<double>(std::min(options.batch_rows, problem.train_rows)) *
                      static_cast<double>(problem.inputs) * static_cast<double>(problem.outputs);
  const int64_t steps =
      std::max<int64_t>(kFewestSteps, static_cast<int64_t>(double(options.work_limit) / step));
  options.steps = std::min(options.steps, steps);
  return options;
}

Status SolvePart(const Problem& problem, const Options& options, const Part& part,
                 const CancellationToken& cancellation, PartSolution& solution) {
  try {
    // The threads of the pool are the parallelism; this setting is the calling thread's own.
    at::set_num_threads(1);
    return LearnPart(problem, options, part, cancellation, solution);
  } catch (const std::exception& error) {
    const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
    const std::string message = torch_error ? torch_error->what_without_backtrace() : error.what();
    return InternalError("learning the rounding: {}", message.substr(0, message.find('\n')));
  }
}

}  // namespace

Result<Solution> Learn(const Problem& problem, const Options& options, ThreadPool& pool,
                       const CancellationToken& cancellation,
                       const std::function<void(double)>& progress) {
  HAQ_RETURN_IF_ERROR(Check(problem));
  const Options limited = WithinLimit(problem, options);
  const std::vector<Part> parts = Split(problem);
  const auto count = static_cast<int64_t>(parts.size());
  std::vector<PartSolution> solutions(parts.size());
  std::vector<Status> failures(parts.size());
  // In portions, between which the caller hears of the progress.
  const int64_t portion = int64_t{4} * pool.threads();
  for (int64_t first = 0; first < count; first += portion) {
    const int64_t last = std::min(first + portion, count);
    pool.ParallelFor(last - first, [&](int64_t i, int) {
      failures[first + i] =
          SolvePart(problem, limited, parts[first + i], cancellation, solutions[first + i]);
    });
    if (progress) progress(double(last) / double(count));
    for (const Status& failure : failures) HAQ_RETURN_IF_ERROR(failure);
  }
  Solution solution;
  for (const PartSolution& part : solutions) {
    solution.weights.insert(solution.weights.end(), part.weights.begin(), part.weights.end());
    solution.bias.insert(solution.bias.end(), part.bias.begin(), part.bias.end());
    solution.learned_outputs += part.learned_outputs;
    solution.nearest_error += part.nearest_error;
    solution.error += part.error;
  }
  return solution;
}

}  // namespace haq::adaround
