// Scales, zero points and weights that a model brings are used as they are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/lower/lower.h"
#include "tests/unit/core/lower/net.h"

namespace haq::lower {
namespace {

using Levels = ir::GivenQuantization::Levels;

const artifact::Tensor& TensorOf(const Lowered& lowered, ir::ValueId value) {
  for (const TensorDecision& decision : lowered.decisions) {
    if (decision.value == value) return lowered.model.tensors[decision.tensor];
  }
  ADD_FAILURE() << "value " << value << " has no tensor";
  return lowered.model.tensors[0];
}

Lowered LowerGiven(const ir::Graph& graph, const ir::GivenQuantization& given) {
  const std::vector<quant::Range> ranges(graph.values.size(), {-1, 1});
  Options options;
  options.given = given;
  auto lowered = Lower(graph, ranges, options);
  EXPECT_TRUE(lowered.ok()) << lowered.status().ToString();
  return lowered.ok() ? *std::move(lowered) : Lowered();
}

// A convolution whose weights are `scales` times integers, and the clamp that its levels are.
struct GivenNet {
  ir::Graph graph;
  ir::GivenQuantization given;
  ir::ValueId conv = -1, clamp = -1;

  explicit GivenNet(std::vector<float> scales) {
    graph.input = graph.AddValue("input", {1, 1, 4, 4});
    const std::vector<float> integers{3, -100, 100, 7};  // [2, 1, 1, 2]
    ir::Conv2d op;
    op.weight.shape = {2, 1, 1, 2};
    for (size_t i = 0; i < 4; ++i) {
      op.weight.data.push_back(integers[i] * scales[scales.size() == 1 ? 0 : i / 2]);
    }
    conv = graph.AddNode("conv", op, {graph.input}, {1, 2, 4, 3});
    clamp = graph.AddNode("levels", ir::Clamp{-1, 24.5f, {}}, {conv}, {1, 2, 4, 3});
    graph.output = clamp;
    given.values[graph.input] = Levels{0.5f, 11};
    given.values[clamp] = Levels{0.1f, 10};
    given.weights[0] = std::move(scales);
  }
};

TEST(GivenTest, LevelsAreTaken) {
  const GivenNet net({0.01f});
  const Lowered lowered = LowerGiven(net.graph, net.given);
  const artifact::Tensor& x = TensorOf(lowered, net.graph.input);
  EXPECT_EQ(x.scale, 0.5f);
  EXPECT_EQ(x.zero_point, 11);
  const artifact::Tensor& y = TensorOf(lowered, net.clamp);
  EXPECT_EQ(y.scale, 0.1f);
  EXPECT_EQ(y.zero_point, 10);
  EXPECT_EQ(lowered.model.layers.size(), 1u);  // the convolution does the clamp
  EXPECT_EQ(lowered.decisions[0].params.reason, "given by the model");
}

TEST(GivenTest, WeightsAreTheIntegersOfTheirScales) {
  for (const std::vector<float>& scales : {std::vector<float>{0.01f}, {0.01f, 0.003f}}) {
    const GivenNet net(scales);
    const Lowered lowered = LowerGiven(net.graph, net.given);
    EXPECT_THAT(lowered.sums[0].weights.values, testing::ElementsAre(3, -100, 100, 7));
    EXPECT_FLOAT_EQ(static_cast<float>(lowered.sums[0].weights.scales[1]), scales.back());
  }
}

TEST(GivenTest, ScalesThatAreNotTheWeightsAreLeftAlone) {
  GivenNet net({0.01f});
  std::get<ir::Conv2d>(net.graph.nodes[0].op).weight.data[0] *= 1.5f;
  const Lowered lowered = LowerGiven(net.graph, net.given);
  EXPECT_THAT(lowered.sums[0].weights.values, testing::ElementsAre(6, -127, 127, 9));
}

TEST(GivenTest, TheOutputIsNotWidenedWhereItsLevelsAreGiven) {
  const GivenNet net({0.01f});
  const std::vector<quant::Range> ranges(net.graph.values.size(), {-1, 1});
  Options options;
  options.given = net.given;
  options.wide_output = true;
  const auto lowered = Lower(net.graph, ranges, options);
  ASSERT_TRUE(lowered.ok());
  EXPECT_EQ(TensorOf(*lowered, net.clamp).type, artifact::DataType::kUint8);
}

TEST(GivenTest, AConcatenationChangesInputsWithOtherLevels) {
  ir::Graph graph;
  graph.input = graph.AddValue("input", {1, 2, 4, 4});
  const ir::ValueId tanh = graph.AddNode("tanh", ir::Tanh{}, {graph.input}, {1, 2, 4, 4});
  const ir::ValueId sigmoid = graph.AddNode("sigmoid", ir::Sigmoid{}, {graph.input}, {1, 2, 4, 4});
  graph.output = graph.AddNode("concat", ir::Concat{1}, {tanh, sigmoid}, {1, 4, 4, 4});
  ir::GivenQuantization given;
  given.values[tanh] = given.values[graph.output] = Levels{0.01f, 128};
  given.values[sigmoid] = Levels{0.004f, 0};
  const Lowered lowered = LowerGiven(graph, given);
  EXPECT_EQ(TensorOf(lowered, tanh).scale, 0.01f);
  EXPECT_EQ(TensorOf(lowered, sigmoid).scale, 0.004f);
  EXPECT_EQ(TensorOf(lowered, graph.output).scale, 0.01f);
  EXPECT_EQ(lowered.model.layers.size(), 4u);  // one of them changes the scale
}

}  // namespace
}  // namespace haq::lower
