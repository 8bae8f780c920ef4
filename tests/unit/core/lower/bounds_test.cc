#include "core/lower/bounds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/unit/core/lower/net.h"

namespace haq::lower {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

quant::Range BoundsOf(const Net& net, ir::ValueId value) { return ValueBounds(net.graph)[value]; }

TEST(ValueBounds, FollowTheOperators) {
  Net net({1, 4, 6, 6});
  const auto conv = net.Conv(net.graph.input, 4, 1);
  const auto relu = net.Relu(conv);
  const auto relu6 = net.Add(ir::Clamp{0, 6}, {conv});
  const auto signed_sum = net.Add(ir::Add{}, {relu6, conv});
  const auto sum = net.Add(ir::Add{}, {relu6, relu});
  const quant::Range anything{-kInfinity, kInfinity}, positive{0, kInfinity};
  EXPECT_EQ(BoundsOf(net, net.graph.input), anything);
  EXPECT_EQ(BoundsOf(net, conv), anything);
  EXPECT_EQ(BoundsOf(net, relu), positive);
  EXPECT_EQ(BoundsOf(net, relu6), (quant::Range{0, 6}));
  EXPECT_EQ(BoundsOf(net, signed_sum), anything);
  EXPECT_EQ(BoundsOf(net, sum), positive);
  const auto bounded = [&](ir::Op op, std::vector<ir::ValueId> inputs) {
    return BoundsOf(net, net.Add(std::move(op), std::move(inputs)));
  };
  EXPECT_EQ(bounded(ir::Add{}, {relu6, relu6}), (quant::Range{0, 12}));
  EXPECT_EQ(bounded(ir::Mul{}, {relu6, relu6}), (quant::Range{0, 36}));
  EXPECT_EQ(bounded(ir::Mul{}, {relu6, conv}), anything);
  EXPECT_EQ(bounded(ir::Sigmoid{}, {conv}), (quant::Range{0, 1}));
  EXPECT_EQ(bounded(ir::Sigmoid{}, {relu}), (quant::Range{0.5, 1}));
  EXPECT_EQ(bounded(ir::Tanh{}, {conv}), (quant::Range{-1, 1}));
  EXPECT_EQ(bounded(ir::LeakyRelu{0.1f}, {relu}), positive);
  EXPECT_EQ(bounded(ir::LeakyRelu{0.0f}, {conv}), positive);
  EXPECT_EQ(bounded(ir::HardSwish{}, {conv}).low, -0.375);
  EXPECT_EQ(bounded(ir::Silu{}, {relu6}).high, 6);
  EXPECT_EQ(bounded(ir::MaxPool2d{{2, 2}, {2, 2}, {1, 1}, {}}, {relu6}), (quant::Range{0, 6}));
  EXPECT_EQ(bounded(ir::Pad{{0, 0, 1, 1}, {0, 0, 1, 1}, -2}, {relu6}), (quant::Range{-2, 6}));
  EXPECT_EQ(bounded(ir::Concat{1}, {relu6, relu}), positive);
  ir::AvgPool2d pool{{0}, {6}, {0}, {6}};
  EXPECT_EQ(bounded(pool, {relu6}), (quant::Range{0, 6}));
  pool.divisor = 18;  // half of the window
  EXPECT_EQ(bounded(pool, {relu6}), (quant::Range{0, 12}));
  ir::Clamp clamp{-1, 6};
  clamp.channel_high = {2, 3, 5, 4};
  EXPECT_EQ(bounded(clamp, {conv}), (quant::Range{-1, 5}));
}

TEST(ClippedTensors, AreThoseWhoseLevelsEndBeforeTheirValues) {
  Net net({1, 3, 6, 6});
  const auto conv = net.Conv(net.graph.input, 4, 1);
  const auto relu = net.Relu(net.Conv(conv, 4, 1));
  const auto relu6 = net.Add(ir::Clamp{0, 6}, {net.Conv(relu, 4, 1)});
  const auto cut_relu6 = net.Add(ir::Clamp{0, 6}, {net.Conv(relu6, 4, 1)});
  const auto pooled = net.Add(ir::MaxPool2d{{2, 2}, {2, 2}, {1, 1}, {}}, {cut_relu6});
  const auto gate = net.Add(ir::Sigmoid{}, {net.Conv(pooled, 4, 1)});
  net.graph.output = net.Conv(gate, 4, 1);
  ASSERT_TRUE(ir::Verify(net.graph).ok());
  std::vector<quant::Range> ranges(net.graph.values.size(), {-2, 2});
  ranges[relu] = {0, 3};
  ranges[relu6] = {0, 6};
  ranges[cut_relu6] = ranges[pooled] = {0, 4};
  ranges[gate] = {0, 1};
  const auto lowered = Lower(net.graph, ranges, {.wide_output = true});
  ASSERT_TRUE(lowered.ok()) << lowered.status().ToString();
  std::map<std::string, std::string> ends;
  for (const ClippedTensor& tensor : ClippedTensors(net.graph, *lowered)) {
    ends[lowered->model.tensors[tensor.tensor].name] =
        std::string(tensor.low ? "low " : "") + (tensor.high ? "high" : "");
  }
  const auto name = [&](ir::ValueId value) { return net.graph.values[value].name; };
  EXPECT_EQ(ends.at(name(net.graph.input)), "low high");
  EXPECT_EQ(ends.at(name(conv)), "low high");
  EXPECT_EQ(ends.at(name(relu)), "high") << "zero is where a ReLU ends by itself";
  EXPECT_EQ(ends.count(name(relu6)), 0u) << "both ends are the ReLU6's own";
  EXPECT_EQ(ends.at(name(cut_relu6)), "high") << "values up to 6, levels up to 4";
  EXPECT_EQ(ends.count(name(pooled)), 0u) << "its levels are copies";
  EXPECT_EQ(ends.count(name(gate)), 0u);
  EXPECT_EQ(ends.count(name(net.graph.output)), 0u) << "it has 16 bits";
}

}  // namespace
}  // namespace haq::lower
