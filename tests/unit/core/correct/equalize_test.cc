#include "core/correct/equalize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/correct/pair_noise.h"
#include "tests/unit/core/correct/net.h"

namespace haq::correct {
namespace {

constexpr int64_t kImages = 8;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<EqualizedPair> EqualizeWith(
    ir::Graph& graph, const std::vector<float>& images,
    quant::WeightGranularity granularity = quant::WeightGranularity::kPerTensor) {
  ChannelStatistics statistics(graph, EqualizeNeeds(graph));
  auto executor = float_exec::Executor::Create(graph, 2);
  EXPECT_TRUE(statistics.Add(**executor, kImages, images).ok());
  auto changed = Equalize(graph, statistics, granularity);
  EXPECT_TRUE(changed.ok()) << changed.status().ToString();
  return *changed;
}

void ScaleRows(ir::Conv2d& conv, float base) {
  const int64_t rows = conv.weight.shape[0];
  const int64_t per_row = static_cast<int64_t>(conv.weight.data.size()) / rows;
  for (int64_t row = 0; row < rows; ++row) {
    const float factor = std::pow(base, float(row % 5));
    for (int64_t i = 0; i < per_row; ++i) conv.weight.data[row * per_row + i] *= factor;
    conv.bias[row] *= factor;
  }
}

// expand -> ReLU6 -> depthwise -> ReLU6 -> project, as in MobileNetV2, with channels of very
// different sizes.
Net InvertedResidual() {
  Net net({1, 4, 9, 9});
  ir::ValueId x = net.Add(ir::Clamp{0, 6}, {net.Conv(net.graph.input, 20)});
  x = net.Add(ir::Clamp{0, 6}, {net.Conv(x, 20, 20)});
  net.graph.output = net.Conv(x, 6);
  ScaleRows(net.ConvAt(0), 3);
  ScaleRows(net.ConvAt(2), 0.4f);
  return net;
}

TEST(EqualizeTest, LeavesTheFunctionOfTheNetworkAsItIs) {
  Net net = InvertedResidual();
  const std::vector<float> images = Normal(kImages * 4 * 81, 2);
  const std::vector<float> before = RunFp32(net.graph, kImages, images);
  EXPECT_FALSE(EqualizeWith(net.graph, images).empty());
  EXPECT_GT(SqnrDb(before, RunFp32(net.graph, kImages, images)), 110);
}

TEST(EqualizeTest, LeavesTheFunctionAsItIsBeyondWhatWasSeen) {
  Net net = InvertedResidual();
  const ir::Graph original = net.graph;
  EqualizeWith(net.graph, Normal(kImages * 4 * 81, 1));
  const std::vector<float> large = Normal(kImages * 4 * 81, 20);
  EXPECT_GT(SqnrDb(RunFp32(original, kImages, large), RunFp32(net.graph, kImages, large)), 110);
}

TEST(EqualizeTest, RaisesTheSqnrWithOneScaleForAllWeights) {
  Net net = InvertedResidual();
  const std::vector<float> images = Normal(kImages * 4 * 81, 2);
  lower::Options options;
  options.weights = quant::WeightGranularity::kPerTensor;
  const std::vector<float> exact = RunFp32(net.graph, kImages, images);
  const auto sqnr = [&] {
    const auto lowered = lower::Lower(net.graph, RangesOf(net.graph, kImages, images), options);
    EXPECT_TRUE(lowered.ok()) << lowered.status().ToString();
    return SqnrDb(exact, RunInt8(*lowered, kImages, images));
  };
  const double before = sqnr();
  EqualizeWith(net.graph, images);
  EXPECT_GT(sqnr(), before + 3);
}

TEST(EqualizeTest, SaysWhatItChangedAndByHowMuch) {
  Net net = InvertedResidual();
  const auto changed = EqualizeWith(net.graph, Normal(kImages * 4 * 81, 2));
  ASSERT_EQ(changed.size(), 2u);
  EXPECT_EQ(changed[0].producer, "node0");
  EXPECT_EQ(changed[0].consumers, std::vector<std::string>{"node2"});
  EXPECT_EQ(net.graph.values[changed[0].value].name, "node1");
  EXPECT_LT(changed[0].smallest_factor, 0.9 * changed[0].largest_factor);
  EXPECT_LT(changed[0].noise_after, 0.9 * changed[0].noise_before);
}

TEST(EqualizeTest, TouchesNothingThatIsEvenAlready) {
  Net net({1, 3, 6, 6});
  const ir::ValueId relu = net.Add(ir::Clamp{0}, {net.Conv(net.graph.input, 4)});
  net.graph.output = net.Conv(relu, 4);
  for (ir::Conv2d* conv : {&net.ConvAt(0), &net.ConvAt(2)}) {
    // On levels, so that rounding them costs nothing.
    for (size_t i = 0; i < conv->weight.data.size(); ++i) {
      conv->weight.data[i] = (i % 2 ? 64 : 127) / 127.0f;
    }
    std::fill(conv->bias.begin(), conv->bias.end(), 0.25f);
  }
  const std::vector<float> before = net.ConvAt(0).weight.data;
  EXPECT_TRUE(EqualizeWith(net.graph, Normal(kImages * 3 * 36)).empty());
  EXPECT_EQ(net.ConvAt(0).weight.data, before);
}

// Rounding weights that lie on levels costs nothing; between two levels it costs most.
TEST(EqualizeTest, JudgesByWhatRoundingTheWeightsReallyCosts) {
  const auto noise_before = [](float off_level) {
    Net net({1, 3, 6, 6});
    const ir::ValueId relu = net.Add(ir::Clamp{0}, {net.Conv(net.graph.input, 8)});
    net.graph.output = net.Conv(relu, 6);
    ScaleRows(net.ConvAt(0), 4);
    std::vector<float>& weights = net.ConvAt(2).weight.data;
    const float step = *std::ranges::max_element(weights) / 4;
    const auto row = static_cast<int64_t>(weights.size()) / 6;
    for (size_t i = 0; i < weights.size(); ++i) {
      weights[i] = step * (i % row == 0 ? 127 : std::round(weights[i] / step) + off_level);
    }
    const auto changed = EqualizeWith(net.graph, Normal(kImages * 3 * 36));
    EXPECT_EQ(changed.size(), 1u);
    return changed.empty() ? 0 : changed[0].noise_before;
  };
  EXPECT_LT(noise_before(0), 0.9 * noise_before(0.49f));
}

TEST(EqualizeTest, ALinearLayerReadsTheFlattenedChannels) {
  Net net({1, 3, 4, 4});
  const ir::ValueId relu = net.Add(ir::Clamp{0}, {net.Conv(net.graph.input, 10)});
  const ir::ValueId flat = net.Add(ir::Reshape{}, {relu}, {1, 160});
  net.graph.output = net.Linear(flat, 5);
  ScaleRows(net.ConvAt(0), 4);
  const ir::Graph original = net.graph;
  const std::vector<float> images = Normal(kImages * 3 * 16);
  EXPECT_EQ(EqualizeWith(net.graph, images).size(), 1u);
  EXPECT_GT(SqnrDb(RunFp32(original, kImages, images), RunFp32(net.graph, kImages, images)), 110);
}

// Whether the value of node `producer` may be scaled when `make` reads it.
template <typename Make>
size_t PairsWith(const ir::Clamp& clamp, const Make& make) {
  Net net({1, 3, 6, 6});
  const ir::ValueId conv = net.Conv(net.graph.input, 4);
  make(net, net.Add(clamp, {conv}));
  return FindEqualizablePairs(net.graph).size();
}

TEST(EqualizeTest, FindsOnlyWhatCommutesWithScaling) {
  const auto conv_reads = [](Net& net, ir::ValueId x) { net.graph.output = net.Conv(x, 2); };
  EXPECT_EQ(PairsWith({0, kInfinity}, conv_reads), 1u);
  EXPECT_EQ(PairsWith({0, 6}, conv_reads), 1u);
  EXPECT_EQ(PairsWith({-1, 1}, conv_reads), 0u) << "a clamp below zero";
  EXPECT_EQ(PairsWith({0, 6}, [](Net& net, ir::ValueId x) { net.graph.output = x; }), 0u)
      << "the network's output";
  EXPECT_EQ(PairsWith({0, 6},
                      [](Net& net, ir::ValueId x) {
                        net.graph.output = net.Conv(net.Add(ir::Sigmoid{}, {x}), 2);
                      }),
            0u)
      << "a sigmoid";
  EXPECT_EQ(PairsWith({0, 6},
                      [](Net& net, ir::ValueId x) {
                        net.graph.output = net.Conv(net.Add(ir::Add{}, {x, net.Conv(x, 4)}), 2);
                      }),
            0u)
      << "a residual addition";
  EXPECT_EQ(PairsWith({0, 6},
                      [](Net& net, ir::ValueId x) {
                        ir::MaxPool2d pool;
                        pool.kernel = {2, 2}, pool.stride = {2, 2};
                        net.graph.output = net.Conv(net.Add(pool, {x}), 2);
                      }),
            1u)
      << "max pooling";
}

TEST(PairNoiseTest, FindsTheScalesOfAProblemWithAKnownAnswer) {
  // max(s_0, 100 s_1)^2 (1 / s_0^2 + 1 / s_1^2) is least where both reach the maximum: 100^2 + 1.
  PairNoise noise(2);
  noise.Add({{1, 100}, {1, 1}, false, 1});
  const double before = noise.Evaluate({0, 0});
  EXPECT_DOUBLE_EQ(before, 2e4);
  const std::vector<double> scales = noise.Minimize(9);
  EXPECT_NEAR(noise.Evaluate(scales), 1e4 + 1, 300);
  EXPECT_NEAR(scales[0] - scales[1], std::log(100), 0.7);
}

}  // namespace
}  // namespace haq::correct
