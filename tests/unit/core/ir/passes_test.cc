#include "core/ir/passes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace haq::ir {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Input `x` of that shape; nodes are appended in a chain unless told otherwise.
class PassesTest : public testing::Test {
 protected:
  void Start(Shape shape) { graph_.input = last_ = graph_.AddValue("x", std::move(shape)); }
  ValueId Append(std::string name, Op op) {
    return Append(std::move(name), std::move(op), {last_});
  }
  ValueId Append(std::string name, Op op, std::vector<ValueId> inputs, const Shape& declared = {}) {
    std::vector<Shape> shapes;
    for (const ValueId input : inputs) shapes.push_back(graph_.values[input].shape);
    const Result<Shape> shape = InferShape(op, shapes, declared);
    EXPECT_TRUE(shape.ok()) << shape.status().ToString();
    return last_ = graph_.AddNode(std::move(name), std::move(op), std::move(inputs), *shape);
  }
  void Simplify() {
    graph_.output = last_;
    const Status status = ir::Simplify(graph_);
    ASSERT_TRUE(status.ok()) << status.ToString();
  }
  std::vector<std::string> Kinds() const {
    std::vector<std::string> kinds;
    for (const Node& node : graph_.nodes) kinds.emplace_back(OpName(node.op));
    return kinds;
  }
  template <typename T>
  const T& NodeOp(size_t i) const {
    return std::get<T>(graph_.nodes[i].op);
  }

  Graph graph_;
  ValueId last_ = -1;
};

using testing::ElementsAre;

Conv2d Conv(Shape shape, std::vector<float> weight, std::vector<float> bias = {}) {
  Conv2d conv;
  conv.weight = {std::move(shape), std::move(weight)};
  conv.bias = std::move(bias);
  return conv;
}

TEST_F(PassesTest, AffineFoldsIntoTheConvolutionBefore) {
  Start({1, 1, 2, 2});
  Append("conv", Conv({2, 1, 1, 1}, {2, 3}, {10, 20}));
  Append("bn", ChannelAffine{{0.5f, -1}, {1, 2}});
  Append("relu", Clamp{.low = 0});
  Simplify();
  EXPECT_THAT(Kinds(), ElementsAre("conv2d", "clamp"));
  EXPECT_THAT(NodeOp<Conv2d>(0).weight.data, ElementsAre(1, -3));
  EXPECT_THAT(NodeOp<Conv2d>(0).bias, ElementsAre(6, -18));
  EXPECT_EQ(graph_.nodes[0].name, "conv");
  EXPECT_EQ(graph_.values[graph_.nodes[0].output].name, "conv");
}

TEST_F(PassesTest, AffineFoldsIntoTheLinearLayerBefore) {
  Start({1, 2});
  Append("fc", Linear{{{1, 2}, {1, 2}}, {}});
  Append("scale", ChannelAffine{{3}, {4}});
  Simplify();
  EXPECT_THAT(Kinds(), ElementsAre("linear"));
  EXPECT_THAT(NodeOp<Linear>(0).weight.data, ElementsAre(3, 6));
  EXPECT_THAT(NodeOp<Linear>(0).bias, ElementsAre(4));
  EXPECT_EQ(graph_.output, graph_.nodes[0].output);
}

// There the outputs are in the last dimension, the affine's channels in dimension 1.
TEST_F(PassesTest, AffineOverOtherDimensionsThanTheLinearLayerStays) {
  Start({1, 2, 2});
  Append("fc", Linear{{{2, 2}, {1, 0, 0, 1}}, {}});
  Append("scale", ChannelAffine{{3, 5}, {0, 0}});
  Simplify();
  EXPECT_THAT(Kinds(), ElementsAre("linear", "channel_affine"));
}

TEST_F(PassesTest, AffineStaysWhenTheConvolutionIsReadTwice) {
  Start({1, 1, 2, 2});
  const ValueId conv = Append("conv", Conv({1, 1, 1, 1}, {2}));
  const ValueId bn = Append("bn", ChannelAffine{{3}, {1}});
  Append("sum", Add{}, {conv, bn});
  Simplify();
  EXPECT_THAT(Kinds(), ElementsAre("conv2d", "channel_affine", "add"));
}

TEST_F(PassesTest, AffineFoldsIntoAConvolutionAfterIt) {
  Start({1, 4, 3, 3});
  Append("normalize", ChannelAffine{{2, 3, 4, 5}, {1, 10, 100, 1000}});
  Conv2d conv = Conv({2, 2, 1, 1}, {1, 2, 3, 4});
  conv.groups = 2;
  Append("conv", conv);
  Simplify();
  EXPECT_THAT(Kinds(), ElementsAre("conv2d"));
  EXPECT_THAT(NodeOp<Conv2d>(0).weight.data, ElementsAre(2, 6, 12, 20));
  EXPECT_THAT(NodeOp<Conv2d>(0).bias, ElementsAre(1 * 1 + 2 * 10, 3 * 100 + 4 * 1000));
}

TEST_F(PassesTest, AffineWithAShiftBeforePaddingStays) {
  Start({1, 1, 3, 3});
  Append("normalize", ChannelAffine{{2}, {1}});
  Conv2d conv = Conv({1, 1, 1, 1}, {1});
  conv.padding.top = 1;
  Append("conv", conv);
  Simplify();
  EXPECT_THAT(Kinds(), ElementsAre("channel_affine", "conv2d"));
}

TEST_F(PassesTest, AffinesMerge) {
  Start({1, 1, 2, 2});
  Append("a", ChannelAffine{{2}, {3}});
  Append("b", ChannelAffine{{5}, {7}});
  Append("relu", Clamp{.low = 0});
  Simplify();
  EXPECT_THAT(Kinds(), ElementsAre("channel_affine", "clamp"));
  EXPECT_THAT(NodeOp<ChannelAffine>(0).scale, ElementsAre(10));
  EXPECT_THAT(NodeOp<ChannelAffine>(0).shift, ElementsAre(22));
}

TEST_F(PassesTest, ZeroPadBecomesPaddingOfAllItsConvolutions) {
  Start({1, 1, 4, 4});
  const ValueId pad = Append("pad", Pad{{0, 0, 1, 0}, {0, 0, 0, 2}, 0});
  Conv2d padded = Conv({1, 1, 1, 1}, {2});
  padded.padding = {1, 1, 1, 1};
  const ValueId a = Append("a", padded, {pad});
  const ValueId b = Append("b", padded, {pad});
  Append("sum", Add{}, {a, b});
  Simplify();
  EXPECT_THAT(Kinds(), ElementsAre("conv2d", "conv2d", "add"));
  const Padding2d expected{.top = 2, .left = 1, .bottom = 1, .right = 3};
  EXPECT_EQ(NodeOp<Conv2d>(0).padding, expected);
  EXPECT_EQ(NodeOp<Conv2d>(1).padding, expected);
}

TEST_F(PassesTest, PadStaysBesideOtherReadersAndOtherValues) {
  Start({1, 1, 4, 4});
  const ValueId pad = Append("pad", Pad{{0, 0, 1, 0}, {0, 0, 0, 0}, 0});
  const ValueId conv = Append("conv", Conv({1, 1, 1, 1}, {2}), {pad});
  Append("sum", Add{}, {conv, pad});
  Append("ones", Pad{{0, 0, 1, 0}, {0, 0, 0, 0}, 1});
  Append("conv2", Conv({1, 1, 1, 1}, {2}));
  Simplify();
  EXPECT_THAT(Kinds(), ElementsAre("pad", "conv2d", "add", "pad", "conv2d"));
}

TEST_F(PassesTest, ClampsMerge) {
  Start({1, 4});
  Append("a", Clamp{-1, 8});
  Append("b", Clamp{0, 6});
  Simplify();
  EXPECT_THAT(Kinds(), ElementsAre("clamp"));
  EXPECT_EQ(NodeOp<Clamp>(0).low, 0);
  EXPECT_EQ(NodeOp<Clamp>(0).high, 6);
}

TEST_F(PassesTest, ClampsThatDoNotOverlapMergeToAConstant) {
  Start({1, 4});
  Append("a", Clamp{7, 9});
  Append("b", Clamp{0, 6});
  Simplify();
  EXPECT_EQ(NodeOp<Clamp>(0).low, 6);
  EXPECT_EQ(NodeOp<Clamp>(0).high, 6);
}

// What their channels were scaled by is not undone, nor mistaken for a ReLU6.
TEST_F(PassesTest, ClampsPerChannelStay) {
  Start({1, 2});
  const ValueId x = graph_.input;
  Append("outer", Clamp{-9, 9});
  Append("a", Clamp{.low = 0, .channel_high = {6, 12}});
  Append("b", Clamp{0, 10});
  Append("plus3", ChannelAffine{{1, 1}, {3, 3}}, {x});
  const ValueId clamp = Append("per_channel", Clamp{.low = 0, .high = 6, .channel_high = {6, 5}});
  Append("mul", Mul{}, {x, clamp});
  Append("sixth", ChannelAffine{{1 / 6.0f, 1 / 6.0f}, {0, 0}});
  const ValueId swish = last_;
  Append("sum", Add{}, {graph_.nodes[2].output, swish});
  Simplify();
  EXPECT_THAT(Kinds(), ElementsAre("clamp", "clamp", "clamp", "channel_affine", "clamp", "mul",
                                   "channel_affine", "add"));
}

TEST_F(PassesTest, IdentitiesGo) {
  Start({1, 2, 3, 3});
  Append("a", ChannelAffine{{1, 1}, {0, 0}});
  Append("b", Clamp{-kInfinity, kInfinity});
  Append("b2", Clamp{.high = 0, .channel_high = {kInfinity, kInfinity}});
  Append("c", Pad{{0, 0, 0, 0}, {0, 0, 0, 0}, 0});
  Append("d", Slice{2, 0, 1}, {last_}, {1, 2, 3, 3});
  Append("e", Concat{1}, {last_});
  Append("f", Permute{{0, 1, 2, 3}});
  Append("g", Reshape{}, {last_}, {1, 2, 3, 3});
  Append("tanh", Tanh{});
  Simplify();
  EXPECT_THAT(Kinds(), ElementsAre("tanh"));
  EXPECT_EQ(graph_.values.size(), 2u);
}

TEST_F(PassesTest, ReshapesAndPermutesMerge) {
  Start({1, 2, 3, 4});
  Append("a", Permute{{0, 2, 3, 1}});
  Append("b", Permute{{0, 2, 3, 1}});
  Append("c", Reshape{}, {last_}, {1, 24});
  Append("d", Reshape{}, {last_}, {1, 4, 6});
  Simplify();
  EXPECT_THAT(Kinds(), ElementsAre("permute", "reshape"));
  EXPECT_THAT(NodeOp<Permute>(0).order, ElementsAre(0, 3, 1, 2));
  EXPECT_EQ(graph_.values[graph_.output].shape, (Shape{1, 4, 6}));
}

TEST_F(PassesTest, SpelledOutSiluAndHardSwishAreFound) {
  Start({1, 2});
  const ValueId x = graph_.input;
  const ValueId gate = Append("sigmoid", Sigmoid{}, {x});
  const ValueId silu = Append("mul", Mul{}, {gate, x});
  Append("plus3", ChannelAffine{{1, 1}, {3, 3}}, {silu});
  Append("relu6", Clamp{0, 6});
  const ValueId sixth = Append("sixth", ChannelAffine{{1 / 6.0f, 1 / 6.0f}, {0, 0}});
  Append("swish", Mul{}, {silu, sixth});
  Simplify();
  EXPECT_THAT(Kinds(), ElementsAre("silu", "hard_swish"));
}

TEST_F(PassesTest, HardSwishThatDividesLastIsFound) {
  Start({1, 2});
  const ValueId x = graph_.input;
  Append("plus3", ChannelAffine{{1, 1}, {3, 3}}, {x});
  const ValueId clamp = Append("relu6", Clamp{0, 6});
  Append("mul", Mul{}, {x, clamp});
  Append("sixth", ChannelAffine{{1 / 6.0f, 1 / 6.0f}, {0, 0}});
  Simplify();
  EXPECT_THAT(Kinds(), ElementsAre("hard_swish"));
}

TEST_F(PassesTest, GateOfAnotherValueIsNoSilu) {
  Start({1, 2});
  const ValueId x = graph_.input;
  const ValueId gate = Append("sigmoid", Sigmoid{}, {x});
  const ValueId other = Append("tanh", Tanh{}, {x});
  Append("mul", Mul{}, {gate, other});
  Simplify();
  EXPECT_THAT(Kinds(), ElementsAre("sigmoid", "tanh", "mul"));
}

TEST_F(PassesTest, DeadNodesGo) {
  Start({1, 2});
  const ValueId x = graph_.input;
  Append("dead", Tanh{}, {x});
  Append("dead too", Sigmoid{});
  Append("alive", Silu{}, {x});
  Simplify();
  EXPECT_THAT(Kinds(), ElementsAre("silu"));
  EXPECT_EQ(graph_.values.size(), 2u);
}

TEST_F(PassesTest, WeightsThatOverflowInFoldingAreReported) {
  Start({1, 1, 2, 2});
  Append("conv", Conv({1, 1, 1, 1}, {3e38f}));
  graph_.output = Append("bn", ChannelAffine{{10}, {0}});
  const Status status = ir::Simplify(graph_);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), testing::HasSubstr("node 'conv': conv2d: weight[0] is inf"));
}

TEST_F(PassesTest, ADeadChannelsWeightsAreZeroedBehindPadding) {
  Start({1, 1, 4, 4});
  Append("a", Conv({3, 1, 1, 1}, {0, 0, 2}, {-1, 0.5f, 1}));
  Append("relu", Clamp{.low = 0, .high = 6});
  Conv2d depthwise = Conv({3, 1, 1, 1}, {50, 40, 3});
  depthwise.groups = 3;
  depthwise.padding = {1, 1, 1, 1};
  Append("depthwise", depthwise);
  Simplify();
  // The second channel is 0.5 inside and 0 in the padding.
  EXPECT_THAT(NodeOp<Conv2d>(2).weight.data, ElementsAre(0, 40, 3));
  EXPECT_THAT(NodeOp<Conv2d>(2).bias, testing::IsEmpty());
}

TEST_F(PassesTest, AConstantChannelGoesIntoTheBias) {
  Start({1, 1, 2, 2});
  Append("a", Conv({2, 1, 1, 1}, {0, 2}, {9, 1}));
  Append("relu6", Clamp{.low = 0, .high = 6});
  Append("b", Conv({2, 2, 1, 1}, {7, 0, -2, 3}));  // its first channel reads the constant alone
  Append("leaky", LeakyRelu{0.5f});
  Append("pool", MaxPool2d{});
  Append("flat", Reshape{}, {last_}, {1, 8});
  const std::vector<float> ones(8, 1.0f);
  Append("c", Linear{{{1, 8}, ones}, {0.25f}});
  Simplify();
  EXPECT_THAT(NodeOp<Conv2d>(2).weight.data, ElementsAre(0, 0, 0, 3));
  EXPECT_THAT(NodeOp<Conv2d>(2).bias, ElementsAre(42, -12));
  const auto& linear = std::get<Linear>(graph_.nodes.back().op);
  EXPECT_THAT(linear.weight.data, ElementsAre(0, 0, 0, 0, 1, 1, 1, 1));
  EXPECT_THAT(linear.bias, ElementsAre(0.25f + 4 * 42));
}

TEST_F(PassesTest, WhatIsNotKnownToBeConstantStays) {
  Start({1, 1, 2, 2});
  const ValueId a = Append("a", Conv({2, 1, 1, 1}, {0, 0}, {1, 2}));
  AvgPool2d pool;  // the corner's window has one element, divided by four
  pool.row_begin = pool.column_begin = {0}, pool.row_end = pool.column_end = {1};
  pool.divisor = 4;
  Append("pool", pool);
  const ValueId pooled = Append("b", Conv({1, 2, 1, 1}, {3, 4}));
  Append("sigmoid", Sigmoid{}, {a});
  Append("c", Conv({1, 2, 2, 2}, std::vector<float>(8, 5)));
  Append("sum", Add{}, {pooled, last_});
  Simplify();
  for (const Node& node : graph_.nodes) {
    const auto* conv = std::get_if<Conv2d>(&node.op);
    if (!conv || node.name == "a") continue;
    EXPECT_THAT(conv->weight.data, testing::Each(testing::Gt(0))) << node.name;
    EXPECT_THAT(conv->bias, testing::IsEmpty());
  }
}

}  // namespace
}  // namespace haq::ir
