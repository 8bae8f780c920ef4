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

}  // namespace
}  // namespace haq::pipeline
