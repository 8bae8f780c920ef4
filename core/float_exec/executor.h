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

  // What would come out if something inside were different: RunAndKeep runs like Run and keeps
  // every value in memory; a Rerun then runs just the nodes that depend on what it changes. Its
  // result has the bits of a whole run with that change. Kept are the values of the last
  // RunAndKeep, until the next run or Forget; without them Reruns return kFailedPrecondition.
  Status RunAndKeep(int64_t n, std::span<const float> input, std::span<float> output) {
    return RunAndKeep(n, input, output, {}, {});
  }
  Status RunAndKeep(int64_t n, std::span<const float> input, std::span<float> output,
                    const Observer& observe, const ObserverNeeds& needs);
  void Forget();

  // Changes, in place, the elements of a value for the whole batch, in row-major order of its
  // shape, or in any order (each sample by itself) where that was said to do.
  using Edit = std::function<void(std::span<float> elements)>;
  // Reruns may be called from bodies of ParallelFor: many of them at a time, on one thread each,
  // are faster than one after the other on all threads.
  Status RerunWithValue(ir::ValueId value, const Edit& edit, bool any_order,
                        std::span<float> output) const;
  // With another operator at `node` (an index into graph.nodes): of the same kind and shapes, such
  // as a convolution with other weights.
  Status RerunWithOp(int node, const ir::Op& op, std::span<float> output) const;

 private:
  Status RunAll(int64_t n, std::span<const float> input, std::span<float> output,
                const Observer& observe, const ObserverNeeds& needs, bool keep);
  struct Impl;
  explicit Executor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace haq::float_exec
