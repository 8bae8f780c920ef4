// FP32 execution of a graph, on LibTorch: the baseline, and the activations that calibration
// observes.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "core/ir/graph.h"

namespace haq::float_exec {

// Not thread-safe; results are deterministic for a batch size and thread count.
class Executor {
 public:
  // Called once per value of the graph (the input included), in the order of execution, with the
  // value's elements for the whole batch in row-major order of its shape [n, ...]. The span lives
  // for the call.
  using Observer = std::function<void(ir::ValueId value, std::span<const float> elements)>;

  // What an observer can do without.
  struct ObserverNeeds {
    std::vector<bool> values;  // by value: whether it is called for that one; empty is all
    // The elements of a sample may come in any order (the samples themselves stay in order), which
    // saves transposing those that are not in row-major order.
    bool any_order = false;
  };

  // `threads` <= 0 uses every core. The graph must be verified and must outlive the executor.
  static Result<std::unique_ptr<Executor>> Create(const ir::Graph& graph, int threads = 0);
  ~Executor();

  int threads() const;
  // Calls body(i) once for every i in [0, count), on the executor's own threads: for observers,
  // during whose calls those threads are idle. Not to be called from a body.
  void ParallelFor(int64_t count, const std::function<void(int64_t i)>& body) const;

  // Runs n samples: `input` holds n times the input's elements, `output` receives n times the
  // output's. `observe` may be empty. kInternal carries LibTorch's message and the node.
  Status Run(int64_t n, std::span<const float> input, std::span<float> output,
             const Observer& observe = {}) {
    return Run(n, input, output, observe, {});
  }
  Status Run(int64_t n, std::span<const float> input, std::span<float> output,
             const Observer& observe, const ObserverNeeds& needs);

 private:
  struct Impl;
  explicit Executor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace haq::float_exec
