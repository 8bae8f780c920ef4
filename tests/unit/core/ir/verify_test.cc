#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/ir/graph.h"

namespace haq::ir {
namespace {

Graph TwoNodes() {
  Graph graph;
  graph.input = graph.AddValue("input", {1, 4});
  const ValueId a = graph.AddNode("a", Tanh{}, {graph.input}, {1, 4});
  graph.output = graph.AddNode("b", Add{}, {a, graph.input}, {1, 4});
  return graph;
}

void ExpectRefused(const Graph& graph, const std::string& reason) {
  const Status status = Verify(graph);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), testing::HasSubstr(reason));
}

TEST(Verify, AcceptsAGraphThatKeepsTheConventions) { EXPECT_TRUE(Verify(TwoNodes()).ok()); }

TEST(Verify, NamesTheNodeOfAWrongShape) {
  Graph graph = TwoNodes();
  graph.values[graph.output].shape = {1, 5};
  ExpectRefused(graph, "node 'b': add: the output is 1x4, the graph says 1x5");
}

TEST(Verify, NamesTheNodeOfAWrongAttribute) {
  Graph graph = TwoNodes();
  graph.nodes[0].op = Clamp{2, 1};
  ExpectRefused(graph, "node 'a': clamp: clamp to [2, 1]");
}

TEST(Verify, RefusesTheWrongOrder) {
  Graph graph = TwoNodes();
  std::swap(graph.nodes[0], graph.nodes[1]);
  ExpectRefused(graph, "node 'b': reads value 1 before it is made");
}

TEST(Verify, RefusesIdsThatAreNoValues) {
  Graph graph = TwoNodes();
  graph.nodes[1].inputs[0] = 7;
  ExpectRefused(graph, "reads value 7");
  graph = TwoNodes();
  graph.nodes[1].output = -1;
  ExpectRefused(graph, "its output -1");
  graph = TwoNodes();
  graph.output = 9;
  ExpectRefused(graph, "no output value");
  graph = TwoNodes();
  graph.input = -1;
  ExpectRefused(graph, "no input value");
}

TEST(Verify, RefusesTwoProducersAndNone) {
  Graph graph = TwoNodes();
  graph.nodes[1].output = 1;
  ExpectRefused(graph, "has another producer");
  graph = TwoNodes();
  graph.AddValue("orphan", {1, 4});
  ExpectRefused(graph, "value 'orphan' has no producer");
}

TEST(Verify, RefusesNamesThatAreNotUnique) {
  Graph graph = TwoNodes();
  graph.values[1].name = "input";
  ExpectRefused(graph, "two values have the name 'input'");
  graph = TwoNodes();
  graph.nodes[1].name = "a";
  ExpectRefused(graph, "two nodes have the name 'a'");
}

TEST(Verify, RefusesABatchInTheGraph) {
  Graph graph = TwoNodes();
  for (Value& value : graph.values) value.shape[0] = 2;
  ExpectRefused(graph, "value 'input': shape 2x4 has no batch of 1");
}

}  // namespace
}  // namespace haq::ir
