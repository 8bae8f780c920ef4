// FP32 graph + one range per value -> integer-only model.
#pragma once

#include <string>
#include <vector>

#include "core/artifact/model.h"
#include "core/base/status.h"
#include "core/ir/given_quantization.h"
#include "core/ir/graph.h"
#include "core/quant/params.h"

namespace haq::lower {

// The integer weights of one convolution or linear layer.
struct SumWeights {
  int node = -1;                    // of the graph
  int32_t layer = 0;                // of the model
  quant::QuantizedWeights weights;  // in the model's order: [O][KH][KW][I / groups] or [O][I]
  ir::ValueId residual = -1;        // the other summand, where the layer does an addition
};

struct Options {
  quant::SchemePolicy scheme = quant::SchemePolicy::kHybrid;
  quant::WeightGranularity weights = quant::WeightGranularity::kPerChannel;
  quant::HybridRule hybrid = {};
  // The input's range is that of a grid which the input's values lie on: level 0 is its low end and
  // level 255 its high end, whatever the scheme.
  bool exact_input = false;
  // Values that are kept at 16 bits. So are those that share their parameters (what is
  // concatenated, padded, reshaped, max pooled, ...).
  std::vector<ir::ValueId> wide = {};
  // Keeps the network's output at 16 bits where no layer reads it and it costs next to no time.
  bool wide_output = false;
  // Per value the range that it gets at 16 bits; empty: that of 8 bits.
  std::vector<quant::Range> wide_ranges = {};
  // Weights to use instead of the nearest ones; `layer` is not read. Values and scales as an
  // earlier lowering of the same graph gave them, with other integers.
  std::vector<SumWeights> chosen_weights = {};
  // Levels of values and scales of weights that are used as they are, whatever the ranges. What
  // shares the parameters of such a value has them too.
  ir::GivenQuantization given = {};
};

// What one quantized value got, for the report.
struct TensorDecision {
  ir::ValueId value = -1;
  int32_t tensor = -1;  // of the model
  std::string op;       // of the node that makes it; "input" for the network's input
  quant::TensorParams params;
};

struct Lowered {
  artifact::Model model;  // verified, without input_shape, preprocessing, class names and metadata
  std::vector<TensorDecision>
      decisions;                 // in order of execution; values that were fused away have none
  std::vector<SumWeights> sums;  // in order of execution
};

// Per value: whether it may be in Options::wide. It must be stored (what a layer computes on the
// way to its clamp or its sum is not), and it and all that share its parameters must be made and
// read by operators that have 16 bits: convolutions, linear layers, additions, average pooling,
// clamps, and those that move values. `options.wide` is not read.
Result<std::vector<bool>> WideCandidates(const ir::Graph& graph,
                                         const std::vector<quant::Range>& ranges,
                                         const Options& options);
// [O, I, H, W] with H W = `hw` -> [O, H, W, I], the stored order of weights that read images.
std::vector<float> ToStoredOrder(const std::vector<float>& weight, int64_t o, int64_t i,
                                 int64_t hw);

// Whether there is an integer layer for every node of the verified graph: known before any image is
// looked at. kUnsupported names the node.
Status CheckLowerable(const ir::Graph& graph);

// `ranges` has one entry per value of the verified graph. kUnsupported and kInvalidArgument name
// the node; kInvalidArgument names the tensor of Options::wide that cannot have 16 bits, and why.
Result<Lowered> Lower(const ir::Graph& graph, const std::vector<quant::Range>& ranges,
                      const Options& options);

}  // namespace haq::lower
