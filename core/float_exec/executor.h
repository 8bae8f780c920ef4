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

  // `threads` <= 0 uses every core. The graph must be verified and must outlive the executor.
  static Result<std::unique_ptr<Executor>> Create(const ir::Graph& graph, int threads = 0);
  ~Executor();

  // Runs n samples: `input` holds n times the input's elements, `output` receives n times the
  // output's. `observe` may be empty. kInternal carries LibTorch's message and the node.
  Status Run(int64_t n, std::span<const float> input, std::span<float> output,
             const Observer& observe = {});

 private:
  struct Impl;
  explicit Executor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace haq::float_exec
