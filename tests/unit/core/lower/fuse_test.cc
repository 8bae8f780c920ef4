// Which additions and clamps become a part of the layer before them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/core/lower/net.h"

namespace haq::lower {
namespace {

using testing::ElementsAre;

std::vector<std::string> Layers(const Outcome& outcome) {
  std::vector<std::string> layers;
  for (const artifact::Layer& layer : outcome.lowered.model.layers) {
    layers.push_back(std::string(artifact::OpName(layer.op)) + "/" +
                     std::to_string(layer.inputs.size()));
  }
  return layers;
}

// Lowers and expects the integer network to follow the FP32 one.
Outcome RunNet(const Net& net, double least_db = 33) {
  auto outcome = RunBoth(net);
  EXPECT_TRUE(outcome.ok()) << outcome.status().ToString();
  if (!outcome.ok()) return {};
  EXPECT_GT(outcome->sqnr_db, least_db);
  return *std::move(outcome);
}

bool HasTensor(const Outcome& outcome, const Net& net, ir::ValueId value) {
  for (const artifact::Tensor& tensor : outcome.lowered.model.tensors) {
    if (tensor.name == net.graph.values[value].name) return true;
  }
  return false;
}

TEST(FuseAdd, TheConvolutionAddsItsResidual) {
  for (const bool conv_first : {false, true}) {
    Net net({1, 8, 6, 6});
    const auto x = net.Relu(net.Conv(net.graph.input, 8, 1));
    const auto y = net.Conv(x, 8, 3, 1, 1, {1, 1, 1, 1});
    net.graph.output = conv_first ? net.Add(ir::Add{}, {y, x}) : net.Add(ir::Add{}, {x, y});
    const Outcome outcome = RunNet(net);
    EXPECT_THAT(Layers(outcome), ElementsAre("conv2d/1", "conv2d/2"));
    EXPECT_FALSE(HasTensor(outcome, net, y)) << "the sum is the only tensor";
    EXPECT_EQ(outcome.lowered.model.tensors[outcome.lowered.model.output].name,
              net.graph.values[net.graph.output].name);
    EXPECT_EQ(outcome.lowered.decisions.size(), 3u);
    EXPECT_EQ(DecisionOf(outcome, net.graph.output).tensor, outcome.lowered.model.output);
  }
}

TEST(FuseAdd, ClampsAfterTheSumAreFusedToo) {
  Net net({1, 8, 6, 6});
  const auto x = net.Relu(net.Conv(net.graph.input, 8, 1));
  const auto relu = net.Relu(net.Add(ir::Add{}, {net.Conv(x, 8, 3, 1, 8, {1, 1, 1, 1}), x}));
  net.graph.output = net.Conv(relu, 4, 1);
  const Outcome outcome = RunNet(net);
  EXPECT_THAT(Layers(outcome), ElementsAre("conv2d/1", "conv2d/2", "conv2d/1"));
  EXPECT_EQ(DecisionOf(outcome, relu).params.zero_point, 0);
}

// The layer stands where the sum stood: what it adds exists by then.
TEST(FuseAdd, OfTwoConvolutionsTheLaterOneAdds) {
  Net net({1, 8, 6, 6});
  const auto early = net.Conv(net.graph.input, 8, 1);
  const auto x = net.Relu(net.Conv(net.graph.input, 8, 1));
  const auto late = net.Conv(x, 8, 1);
  const auto sum = net.Add(ir::Add{}, {late, early});
  net.graph.output = sum;
  const Outcome outcome = RunNet(net);
  EXPECT_THAT(Layers(outcome), ElementsAre("conv2d/1", "conv2d/1", "conv2d/2"));
  EXPECT_TRUE(HasTensor(outcome, net, early));
  EXPECT_FALSE(HasTensor(outcome, net, late));
}

TEST(FuseAdd, TheOtherSummandMayComeLater) {
  Net net({1, 8, 6, 6});
  const auto y = net.Conv(net.graph.input, 8, 1);
  const auto x = net.Add(ir::Sigmoid{}, {net.graph.input});
  net.graph.output = net.Add(ir::Add{}, {y, x});
  EXPECT_THAT(Layers(RunNet(net)), ElementsAre("table/1", "conv2d/2"));
}

TEST(FuseAdd, AffineOfImages) {
  Net net({1, 3, 6, 6});
  const ir::ChannelAffine affine{{1, -2, 0.5f}, {0.1f, 1, -2}};
  net.graph.output = net.Add(ir::Add{}, {net.Add(affine, {net.graph.input}), net.graph.input});
  EXPECT_THAT(Layers(RunNet(net)), ElementsAre("conv2d/2"));
}

TEST(FuseAdd, AffineOfVectorsAddsByItself) {
  Net net({1, 3});
  const ir::ChannelAffine affine{{1, -2, 0.5f}, {0.1f, 1, -2}};
  net.graph.output = net.Add(ir::Add{}, {net.Add(affine, {net.graph.input}), net.graph.input});
  EXPECT_EQ(CountLayers(RunNet(net), "add"), 1);
}

TEST(FuseAdd, ResultsThatOthersNeedStayTensors) {
  {
    Net net({1, 8, 6, 6});  // clamped before it is added
    const auto y = net.Relu(net.Conv(net.graph.input, 8, 1));
    net.graph.output = net.Add(ir::Add{}, {y, net.graph.input});
    EXPECT_EQ(CountLayers(RunNet(net), "add"), 1);
  }
  {
    Net net({1, 8, 6, 6});  // read by another layer
    const auto y = net.Conv(net.graph.input, 8, 1);
    const auto sum = net.Add(ir::Add{}, {y, net.graph.input});
    net.graph.output = net.Add(ir::Mul{}, {sum, net.Add(ir::Sigmoid{}, {y})});
    EXPECT_EQ(CountLayers(RunNet(net, 28), "add"), 1);
  }
  {
    Net net({1, 8, 6, 6});  // added to itself
    const auto y = net.Conv(net.graph.input, 8, 1);
    net.graph.output = net.Add(ir::Add{}, {y, y});
    EXPECT_EQ(CountLayers(RunNet(net), "add"), 1);
  }
  {
    Net net({1, 8, 1, 1});  // of another shape
    const auto y = net.Conv(net.graph.input, 8, 1);
    ir::ValueId image = net.Add(ir::Pad{{0, 0, 1, 1}, {0, 0, 1, 1}, 0.5f}, {net.graph.input});
    net.graph.output = net.Add(ir::Add{}, {image, y});
    EXPECT_EQ(CountLayers(RunNet(net), "add"), 1);
  }
}

// A residual that nearly cancels with the sum is far coarser than the result: it needs more than 16
// bits beside it.
TEST(FuseAdd, WhatDoesNotFitSixteenBitsIsAddedByItself) {
  Net net({1, 3, 6, 6});
  const auto y = net.Add(ir::ChannelAffine{{-0.99f, -0.99f, -0.99f}, {0, 0, 0}}, {net.graph.input});
  net.graph.output = net.Add(ir::Add{}, {y, net.graph.input});
  const auto outcome = RunBoth(net);
  ASSERT_TRUE(outcome.ok()) << outcome.status().ToString();
  EXPECT_THAT(Layers(*outcome), ElementsAre("conv2d/1", "add/2"));
  EXPECT_TRUE(HasTensor(*outcome, net, y));
}

// Bias correction asks for it.
TEST(FuseAdd, TheSumTellsItsResidual) {
  Net net({1, 4, 6, 6});
  const auto y = net.Conv(net.graph.input, 4, 1);
  const auto z = net.Conv(net.Add(ir::Add{}, {y, net.graph.input}), 4, 1);
  net.graph.output = z;
  const Outcome outcome = RunNet(net);
  ASSERT_EQ(outcome.lowered.sums.size(), 2u);
  EXPECT_EQ(outcome.lowered.sums[0].residual, net.graph.input);
  EXPECT_EQ(outcome.lowered.sums[1].residual, -1);
}

// The range of what is not stored constrains nothing: not even an absurd one.
TEST(FuseAdd, TheSumAloneDecidesTheRange) {
  Net net({1, 4, 6, 6});
  const auto y = net.Conv(net.graph.input, 4, 1);
  net.graph.output = net.Add(ir::Add{}, {y, net.graph.input});
  const auto scales = [&](quant::Range unused) {
    const auto lowered = Lower(net.graph, {{-3, 3}, unused, {-5, 5}}, {});
    EXPECT_TRUE(lowered.ok()) << lowered.status().ToString();
    std::vector<float> result;
    for (const artifact::Tensor& tensor : lowered->model.tensors) result.push_back(tensor.scale);
    return result;
  };
  EXPECT_EQ(scales({-4, 4}), scales({-1e9, 1e9}));
}

// Channels scaled apart, as cross-layer equalization does: a ReLU6's end is another level in each.
ir::Clamp Uneven(int channels) {
  ir::Clamp clamp{.low = 0};
  for (int c = 0; c < channels; ++c) clamp.channel_high.push_back(0.2f + 0.3f * float(c));
  return clamp;
}

TEST(FuseClamp, PerChannelInConvolutionsAndLinearLayers) {
  Net net({1, 4, 6, 6});
  const auto x = net.Add(Uneven(8), {net.Conv(net.graph.input, 8, 3)});
  const auto flat = net.Add(ir::Reshape{}, {x}, {1, 128});
  net.graph.output = net.Add(Uneven(10), {net.Linear(flat, 10)});
  const Outcome outcome = RunNet(net);
  EXPECT_THAT(Layers(outcome), ElementsAre("conv2d/1", "linear/1"));
  const auto& conv = std::get<artifact::Conv2d>(outcome.lowered.model.layers[0].op);
  const float scale = DecisionOf(outcome, x).params.scale;
  for (int c = 0; c < 8; ++c) {
    EXPECT_EQ(conv.channels[c].q_max, std::lround((0.2f + 0.3f * float(c)) / scale)) << c;
  }
}

TEST(FuseClamp, PerChannelAfterAFusedSum) {
  Net net({1, 8, 6, 6});
  const auto sum = net.Add(ir::Add{}, {net.Conv(net.graph.input, 8, 1), net.graph.input});
  net.graph.output = net.Add(Uneven(8), {sum});
  EXPECT_THAT(Layers(RunNet(net)), ElementsAre("conv2d/2"));
}

// Everything else clamps each channel by a multiplication with one.
TEST(FuseClamp, PerChannelByItself) {
  for (const ir::Shape& shape : {ir::Shape{1, 8, 5, 4}, ir::Shape{1, 8}}) {
    Net net(shape);
    const auto sum = net.Add(ir::Add{}, {net.graph.input, net.Add(ir::Tanh{}, {net.graph.input})});
    net.graph.output = net.Add(Uneven(8), {sum});
    const Outcome outcome = RunNet(net);
    EXPECT_EQ(CountLayers(outcome, "add"), 1);
    EXPECT_EQ(CountLayers(outcome, "conv2d"), 1);
  }
}

TEST(FuseClamp, PerChannelOfOtherRanksIsRefused) {
  Net net({1, 8, 5});
  net.graph.output = net.Add(Uneven(8), {net.graph.input});
  const auto outcome = RunBoth(net);
  EXPECT_EQ(outcome.status().code(), StatusCode::kUnsupported);
  EXPECT_THAT(outcome.status().message(), testing::HasSubstr("layer \"node0\" (clamp)"));
  EXPECT_THAT(outcome.status().message(), testing::HasSubstr("[N, C] or [N, C, H, W]"));
}

}  // namespace
}  // namespace haq::lower
