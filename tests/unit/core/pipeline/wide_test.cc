#include "core/pipeline/wide.h"

#include <gtest/gtest.h>

namespace haq::pipeline {
namespace {

ir::Graph NamedValues(const std::vector<std::string>& names) {
  ir::Graph graph;
  graph.input = graph.AddValue("input", {1, 4});
  graph.output = graph.input;
  for (const std::string& name : names) {
    graph.output = graph.AddNode(name, ir::Tanh{}, {graph.output}, {1, 4});
  }
  return graph;
}

TEST(FindWideTensors, FindsEachByItsName) {
  const ir::Graph graph = NamedValues({"layer1.conv", "layer1.add", "layer2.conv"});
  EXPECT_EQ(*FindWideTensors(graph, {"layer2.conv", "input", "layer1.add"}),
            (std::vector<ir::ValueId>{3, 0, 2}));
  EXPECT_TRUE(FindWideTensors(graph, {})->empty());
}

TEST(FindWideTensors, ListsNearNamesTheNearestFirst) {
  const ir::Graph graph = NamedValues(
      {"layer1.conv", "layer1.add", "layer2.conv", "layer2.add", "layer3.conv", "head"});
  const Status status = FindWideTensors(graph, {"head", "layer2.cnv"}).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "wide_tensors[1]: the network has no tensor \"layer2.cnv\"; near names are "
            "layer2.conv, layer1.conv, layer3.conv, layer2.add, layer1.add");
  ASSERT_EQ(status.fields().size(), 1u);
  EXPECT_EQ(status.fields()[0].field, "wide_tensors[1]");
}

TEST(FindWideTensors, LongNamesAreNoTrouble) {
  const std::string name(100'000, 'x');
  EXPECT_EQ(FindWideTensors(NamedValues({name + "y"}), {name}).status().code(),
            StatusCode::kInvalidArgument);
}

TensorSensitivity Tensor(int set, float noise, bool rounds = true) {
  TensorSensitivity tensor;
  tensor.origin.set = set;
  tensor.origin.rounds = rounds;
  if (rounds) tensor.isolated.Add(std::vector<float>{1}, std::vector<float>{1 + noise});
  return tensor;
}

TEST(ChooseWide, TakesThoseThatCostMost) {
  const std::vector<TensorSensitivity> tensors = {Tensor(0, 0.1f), Tensor(1, 0.4f), Tensor(2, 0.2f),
                                                  Tensor(3, 0.3f)};
  const std::vector<bool> all(4, true);
  EXPECT_TRUE(ChooseWide(tensors, all, 0).empty());
  EXPECT_EQ(ChooseWide(tensors, all, 1), (std::vector<int>{1}));
  EXPECT_EQ(ChooseWide(tensors, all, 3), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(ChooseWide(tensors, all, 10), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(ChooseWide(tensors, {true, false, true, true}, 2), (std::vector<int>{2, 3}));
}

TEST(ChooseWide, TakesTensorsOfTheSameLevelsTogether) {
  // 0 and 2 are one set of two.
  const std::vector<TensorSensitivity> tensors = {Tensor(0, 0.4f), Tensor(1, 0.1f),
                                                  Tensor(0, 0, false), Tensor(3, 0.3f)};
  const std::vector<bool> all(4, true);
  EXPECT_EQ(ChooseWide(tensors, all, 1), (std::vector<int>{3}));
  // The noise of the set is 0.4^2, more than the 0.3^2 + 0.1^2 of the others.
  EXPECT_EQ(ChooseWide(tensors, all, 2), (std::vector<int>{0, 2}));
  EXPECT_EQ(ChooseWide(tensors, all, 3), (std::vector<int>{0, 2, 3}));
  EXPECT_EQ(ChooseWide(tensors, {true, true, false, true}, 4), (std::vector<int>{1, 3}));
}

TEST(ChooseWide, LeavesWhatCostsNothing) {
  EXPECT_TRUE(ChooseWide({Tensor(0, 0)}, {true}, 1).empty());
}

TEST(MeasureWideCost, TimesBothModels) {
  const ir::Graph graph = NamedValues({"a", "b"});
  const std::vector<quant::Range> ranges(graph.values.size(), {-1, 1});
  const artifact::Model model = lower::Lower(graph, ranges, {})->model;
  const auto cost = MeasureWideCost(model, model, std::vector<float>{1, 2, 3, 4});
  ASSERT_TRUE(cost.ok()) << cost.status().ToString();
  EXPECT_GT(cost->narrow_ms, 0);
  EXPECT_GT(cost->wide_ms, 0);
  EXPECT_EQ(MeasureWideCost(model, model, std::vector<float>{1}).status().code(),
            StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace haq::pipeline
