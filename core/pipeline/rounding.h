// Learned rounding of all weights of a network, layer by layer in the order of execution: each is
// learned on what the integer network with the layers before it gives. Private to core/pipeline.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/base/byte_io.h"
#include "core/base/cancellation.h"
#include "core/base/status.h"
#include "core/base/thread_pool.h"
#include "core/float_exec/executor.h"
#include "core/ir/graph.h"
#include "core/lower/lower.h"
#include "core/pipeline/image_batches.h"
#include "core/pipeline/integer_prefix.h"
#include "core/pipeline/rounding_problem.h"

namespace haq::pipeline {

// What was learned of one layer.
struct LearnedLayer {
  int node = -1;                             // of the graph
  std::vector<int8_t> weights;               // in the order of the lowered model
  std::vector<float> bias;                   // empty where biases were not to be fitted
  int64_t outputs = 0, learned_outputs = 0;  // the others keep the nearest levels
  double nearest_error = 0, error = 0;       // as in adaround::Solution
};

class Rounding {
 public:
  struct Context {
    const ir::Graph& graph;
    const std::vector<quant::Range>& ranges;
    const lower::Options& lower_options;
    bool fit_bias = false;
    float_exec::Executor& executor;  // of the graph
    ThreadPool& pool;
    const CancellationToken& cancellation;
    // Calls with the same batches every time: of at most `RoundingLimits::images` images.
    std::function<Status(const std::function<Status(const Batch&)>&)> for_each_batch;
    // Told after every layer, and a few times within a long one.
    std::function<Status(int64_t done, int64_t total)> on_progress;
  };

  explicit Rounding(const Context& context, const RoundingLimits& limits = {})
      : context_(context),
        limits_(limits),
        graph_(context.graph),
        options_(context.lower_options) {}

  // Learns the layers that are not learned yet.
  Status Run();

  // Layers learned so far, for a checkpoint: an object with the same context goes on from there
  // with the same result.
  void Save(ByteWriter& writer) const;
  // kDataLoss for what is not of this graph.
  Status Restore(ByteReader& reader);

  // After Run: the graph with the fitted biases, and options with the learned weights.
  const ir::Graph& graph() const { return graph_; }
  const lower::Options& lower_options() const { return options_; }
  const std::vector<LearnedLayer>& layers() const { return layers_; }

 private:
  // Finds what there is to learn.
  Status Prepare();
  Status Lower();
  // Quantizes the input of all images.
  Status ReadImages();
  // Makes the problems of the next layers, as many as fit in memory, with their targets.
  Status CollectTargets();
  Status LearnLayer(RoundingProblem& rows);
  void Adopt(LearnedLayer layer);
  adaround::Problem& Complete(RoundingProblem& rows) const;

  // Of learnable_[i].
  const lower::SumWeights& SumOf(size_t i) const { return lowered_.sums[learnable_[i].sum]; }

  Context context_;
  RoundingLimits limits_;
  ir::Graph graph_;
  lower::Options options_;
  lower::Lowered lowered_;
  std::vector<RoundingLayer> learnable_;  // in order of execution
  std::vector<LearnedLayer> layers_;
  int64_t images_ = 0;
  std::unique_ptr<IntegerPrefix> prefix_;
  std::vector<std::unique_ptr<RoundingProblem>> problems_;  // of the layers after those learned
};

}  // namespace haq::pipeline
