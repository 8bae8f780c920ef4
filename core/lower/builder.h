// Builds the quantized model node by node from a graph and its plan. Private to core/lower.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/lower/lower.h"
#include "core/lower/plan.h"

namespace haq::lower {

class Builder {
 public:
  Builder(const ir::Graph& graph, const Plan& plan, const Options& options);
  Result<Lowered> Build();
  // The Add node that made Build fail because its convolution cannot do it, or -1.
  int unfusable_add() const { return unfusable_add_; }

 private:
  // Parameters of the tensor that a value became.
  const quant::TensorParams& ParamsOf(ir::ValueId value) const { return plan_.params[value]; }
  int IndexOf(const ir::Node& node) const { return static_cast<int>(&node - graph_.nodes.data()); }
  // The node whose place the node's layer takes: itself, or the Add that it does.
  int PlaceOf(const ir::Node& node) const;
  // The output of that node, or that of the clamp it swallowed.
  ir::ValueId OutputOf(const ir::Node& node) const;
  // The levels between which the output is clamped: those of the swallowed clamp, else the first
  // and the last.
  struct Levels {
    int low = 0, high = 255;
    std::vector<int> channel_high;  // empty, or one per channel instead of `high`
    int High(size_t channel) const { return channel_high.empty() ? high : channel_high[channel]; }
  };
  Levels ClampOf(const ir::Node& node) const;

  bool BroadcastsFirst(const ir::Node& node) const;
  // Whether one of the tensors that the node's layer reads or makes has 16 bits.
  bool IsWide(const ir::Node& node) const;

  int32_t AddTensor(std::string name, std::vector<int32_t> shape,
                    const quant::TensorParams& params);
  // The tensor that `value` became.
  int32_t TensorOf(ir::ValueId value) const { return tensor_of_value_[value]; }
  // Makes the tensor of a node's output (its layer must be added right after).
  int32_t AddOutput(const ir::Node& node);
  void AddLayer(const ir::Node& node, artifact::Op op, std::vector<int32_t> inputs, int32_t output);
  // A helper layer `name`.suffix that moves bytes or changes the scale of its input; returns its
  // output.
  int32_t AddHelper(const ir::Node& node, std::string_view suffix, artifact::Op op,
                    std::vector<int32_t> inputs, std::vector<int32_t> shape,
                    const quant::TensorParams& params);
  // `value`'s tensor in the levels of `params`.
  Result<int32_t> Requantized(const ir::Node& node, ir::ValueId value,
                              const quant::TensorParams& params);
  // x -> clamp(x) between `clamp` in the levels of y, of either width: a sum with nothing.
  Result<artifact::WideAdd> WideClamp(const quant::TensorParams& x, const quant::TensorParams& y,
                                      const Levels& clamp) const;

  Status Emit(const ir::Node& node);
  Status EmitOp(const ir::Node& node, const ir::Conv2d& op);
  Status EmitOp(const ir::Node& node, const ir::Linear& op);
  Status EmitOp(const ir::Node& node, const ir::ChannelAffine& op);
  Status EmitOp(const ir::Node& node, const ir::Clamp& op);
  Status EmitOp(const ir::Node& node, const ir::Add& op);
  Status EmitOp(const ir::Node& node, const ir::Mul& op);
  Status EmitOp(const ir::Node& node, const ir::Concat& op);
  Status EmitOp(const ir::Node& node, const ir::MaxPool2d& op);
  Status EmitOp(const ir::Node& node, const ir::AvgPool2d& op);
  Status EmitOp(const ir::Node& node, const ir::Reshape& op);
  Status EmitOp(const ir::Node& node, const ir::Permute& op);
  Status EmitOp(const ir::Node& node, const ir::Pad& op);
  Status EmitOp(const ir::Node& node, const ir::Slice& op);
  Status EmitOp(const ir::Node& node, const ir::Softmax& op);
  template <typename Function>  // every function of one value
  Status EmitOp(const ir::Node& node, const Function& op);
  // x -> Apply(op, x) as a table.
  template <typename Function>
  Status EmitTable(const ir::Node& node, const Function& op);

  // One layer of sums: a convolution (weights [O][KH][KW][I]) or a matrix, requantized to the
  // output.
  struct SumLayer {
    quant::QuantizedWeights weights;
    int q_min = 0;
    // One of the two.
    fixedpoint::LayerRequantize requantize;
    std::optional<fixedpoint::WideLayerRequantize> wide;
  };
  // The weights chosen for `node`, or null.
  const quant::QuantizedWeights* ChosenWeights(const ir::Node& node) const;
  // The weights of `node` as integers on the scales given for it; none where these are not given,
  // or are not what the weights are made of (a layer that something was folded into).
  std::optional<quant::QuantizedWeights> GivenWeights(const ir::Node& node,
                                                      const std::vector<float>& weight,
                                                      int64_t channels) const;
  // Remembers the weights of the layer that was added last.
  void AddSumWeights(const ir::Node& node, quant::QuantizedWeights weights);
  // `weight` is [O, ...] in stored order, `bias` empty or O values.
  Result<SumLayer> QuantizeSum(const ir::Node& node, const std::vector<float>& weight,
                               const std::vector<float>& bias,
                               quant::WeightGranularity granularity);
  // Fills in the requantization of the node's sums, clamped from layer.q_min on.
  Status Requantize(const ir::Node& node, const std::vector<fixedpoint::SumChannel>& sums,
                    SumLayer& layer);
  // The operator of that requantization: conv2d or wide_conv2d and so on.
  artifact::Op MakeConv(const artifact::Window& window, int64_t groups, const SumLayer& sum);
  artifact::Op MakeLinear(const SumLayer& sum);
  artifact::Op MakeAvgPool(const artifact::PoolWindows& windows, const SumLayer& layer);
  // Its layer, and the addition that it does.
  void AddConv(const ir::Node& node, const artifact::Window& window, int64_t groups,
               const SumLayer& sum);
  // x[c] * scale[c] + shift[c], clamped between `clamp`, as a depthwise 1x1 convolution.
  Status EmitAffine(const ir::Node& node, const std::vector<float>& scale,
                    const std::vector<float>& shift);

  // A Reshape between two values, with the transpositions that their stored orders need.
  int32_t EmitReshape(const ir::Node& node, int32_t input, const ir::Shape& from,
                      const ir::Shape& to);
  // The [C, H, W] tensor behind `value` when all that stands between is a flattening that only
  // `node` reads, or -1: a linear layer reads it directly, with its weights reordered.
  ir::ValueId FlattenedImage(ir::ValueId value, const ir::Node& node) const;

  const ir::Graph& graph_;
  const Plan& plan_;
  const Options& options_;
  std::vector<int32_t> tensor_of_value_;  // -1: none
  std::vector<bool> absorbed_;            // per node: a reshape that a linear layer reads through
  int unfusable_add_ = -1;
  Lowered lowered_;
};

// Stored dimensions of a value, without the batch: [H, W, C] for [N, C, H, W].
std::vector<int32_t> StoredShape(const ir::Shape& shape);
// Position, in the stored order without the batch, of dimension `axis` of a value of that rank.
int32_t StoredAxis(size_t rank, int64_t axis);

}  // namespace haq::lower
