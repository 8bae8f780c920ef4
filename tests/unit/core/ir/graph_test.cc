#include "core/ir/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace haq::ir {
namespace {

TEST(ElementCount, MultipliesUpToItsLimit) {
  EXPECT_EQ(*ElementCount({1, 3, 224, 224}), 150528);
  EXPECT_EQ(*ElementCount({}), 1);
  EXPECT_EQ(*ElementCount({int64_t{1} << 40}), int64_t{1} << 40);
}

TEST(ElementCount, RefusesWhatWouldOverflow) {
  EXPECT_EQ(ElementCount({int64_t{1} << 40, 2}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_FALSE(ElementCount({int64_t{1} << 62, int64_t{1} << 62, 4}).ok());
}

TEST(ElementCount, RefusesDimensionsBelowOne) {
  EXPECT_THAT(ElementCount({1, 0, 3}).status().message(), testing::HasSubstr("1x0x3"));
  EXPECT_FALSE(ElementCount({1, -2}).ok());
}

TEST(OpName, IsStable) {
  EXPECT_EQ(OpName(Conv2d{}), "conv2d");
  EXPECT_EQ(OpName(HardSigmoid{}), "hard_sigmoid");
  EXPECT_EQ(OpName(AvgPool2d{}), "avg_pool2d");
  EXPECT_EQ(OpName(Softmax{}), "softmax");
}

TEST(Graph, KnowsProducersAndUses) {
  Graph graph;
  graph.input = graph.AddValue("input", {1, 4});
  const ValueId a = graph.AddNode("a", Tanh{}, {graph.input}, {1, 4});
  graph.output = graph.AddNode("b", Add{}, {a, a}, {1, 4});
  EXPECT_EQ(graph.ProducerOf(graph.input), -1);
  EXPECT_EQ(graph.ProducerOf(a), 0);
  EXPECT_EQ(graph.UseCount(a), 2);
  EXPECT_EQ(graph.UseCount(graph.output), 1);
  EXPECT_EQ(graph.UseCount(graph.input), 1);
  EXPECT_EQ(DescribeValue(graph, a), "tensor \"a\", output of layer \"a\" (tanh)");
  EXPECT_EQ(DescribeValue(graph, graph.input), "tensor \"input\", the network's input");
}

}  // namespace
}  // namespace haq::ir
