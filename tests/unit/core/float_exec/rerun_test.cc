// Reruns give the bits of whole runs of a network with the same change.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "core/float_exec/executor.h"
#include "tests/support/seed.h"

namespace haq::float_exec {
namespace {

using testing::HasSubstr;

constexpr int64_t kBatch = 3;

std::vector<float> Random(std::mt19937& random, size_t count) {
  std::normal_distribution<float> normal(0, 0.4f);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

ir::Conv2d Conv(std::mt19937& random, int64_t out, int64_t in, int64_t side) {
  ir::Conv2d conv;
  conv.weight = {{out, in, side, side}, Random(random, out * in * side * side)};
  conv.bias = Random(random, out);
  conv.padding = {side / 2, side / 2, side / 2, side / 2};
  return conv;
}

// Two branches that meet in an addition and in a concatenation, and every kind of operator that may
// work in place.
ir::Graph Network(std::mt19937& random) {
  ir::Graph g;
  g.input = g.AddValue("x", {1, 3, 8, 8});
  const ir::Shape image{1, 8, 8, 8};
  ir::ValueId a = g.AddNode("conv1", Conv(random, 8, 3, 3), {g.input}, image);
  a = g.AddNode("relu6", ir::Clamp{0, 1}, {a}, image);
  ir::ValueId b = g.AddNode("conv2", Conv(random, 8, 8, 1), {a}, image);
  b = g.AddNode("affine", ir::ChannelAffine{Random(random, 8), Random(random, 8)}, {b}, image);
  b = g.AddNode("silu", ir::Silu{}, {b}, image);
  const ir::ValueId sum = g.AddNode("add", ir::Add{}, {b, a}, image);
  const ir::ValueId half = g.AddNode("slice", ir::Slice{1, 1, 2}, {sum}, {1, 4, 8, 8});
  ir::ValueId c = g.AddNode("concat", ir::Concat{1}, {half, sum}, {1, 12, 8, 8});
  c = g.AddNode("pool", ir::MaxPool2d{{2, 2}, {2, 2}, {1, 1}, {}}, {c}, {1, 12, 4, 4});
  c = g.AddNode("leaky", ir::LeakyRelu{0.1f}, {c}, {1, 12, 4, 4});
  c = g.AddNode("flatten", ir::Reshape{}, {c}, {1, 192});
  ir::Linear linear{{{5, 192}, Random(random, 5 * 192)}, Random(random, 5)};
  g.output = g.AddNode("linear", linear, {c}, {1, 5});
  EXPECT_TRUE(ir::Verify(g).ok());
  return g;
}

// The network in which everyone reads `value` after a clamp to [-0.1, 0.2].
ir::Graph WithClampAfter(const ir::Graph& graph, ir::ValueId value) {
  ir::Graph changed;
  changed.values = graph.values;
  changed.input = graph.input;
  changed.output = graph.output;
  const ir::ValueId clamped = changed.AddValue("clamped", graph.values[value].shape);
  const ir::Node clamp{"the clamp", ir::Clamp{-0.1f, 0.2f}, {value}, clamped};
  if (value == graph.input) changed.nodes.push_back(clamp);
  for (ir::Node node : graph.nodes) {
    std::replace(node.inputs.begin(), node.inputs.end(), value, clamped);
    changed.nodes.push_back(node);
    if (node.output == value) changed.nodes.push_back(clamp);
  }
  if (value == graph.output) changed.output = clamped;
  return changed;
}

void ClampElements(std::span<float> elements) {
  for (float& element : elements) element = std::clamp(element, -0.1f, 0.2f);
}

class RerunTest : public testing::Test {
 protected:
  RerunTest()
      : random_(test::Seed()), graph_(Network(random_)), input_(Random(random_, kBatch * 192)) {
    executor_ = *Executor::Create(graph_, 2);
  }
  std::vector<float> WholeRun(const ir::Graph& graph) const {
    std::vector<float> output(kBatch * 5);
    const Status status = (*Executor::Create(graph, 2))->Run(kBatch, input_, output);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return output;
  }
  void Keep() {
    std::vector<float> output(kBatch * 5);
    ASSERT_TRUE(executor_->RunAndKeep(kBatch, input_, output).ok());
    EXPECT_EQ(output, WholeRun(graph_));
  }

  std::mt19937 random_;
  ir::Graph graph_;
  std::vector<float> input_;
  std::unique_ptr<Executor> executor_;
};

TEST_F(RerunTest, AChangedValueGivesTheBitsOfAWholeRun) {
  Keep();
  const std::vector<float> unchanged = WholeRun(graph_);
  for (size_t value = 0; value < graph_.values.size(); ++value) {
    const auto id = static_cast<ir::ValueId>(value);
    const std::vector<float> expected = WholeRun(WithClampAfter(graph_, id));
    EXPECT_NE(expected, unchanged);
    for (const bool any_order : {false, true}) {
      std::vector<float> output(kBatch * 5);
      ASSERT_TRUE(executor_->RerunWithValue(id, ClampElements, any_order, output).ok());
      EXPECT_EQ(output, expected) << graph_.values[value].name;
    }
  }
}

TEST_F(RerunTest, AChangedOperatorGivesTheBitsOfAWholeRun) {
  Keep();
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    ir::Graph changed = graph_;
    if (auto* conv = std::get_if<ir::Conv2d>(&changed.nodes[i].op)) {
      conv->weight.data[1] += 1;
    } else if (auto* linear = std::get_if<ir::Linear>(&changed.nodes[i].op)) {
      linear->weight.data[1] += 1;
    } else {
      continue;
    }
    std::vector<float> output(kBatch * 5);
    ASSERT_TRUE(executor_->RerunWithOp(static_cast<int>(i), changed.nodes[i].op, output).ok());
    EXPECT_EQ(output, WholeRun(changed)) << graph_.nodes[i].name;
    EXPECT_NE(output, WholeRun(graph_)) << graph_.nodes[i].name;
  }
}

TEST_F(RerunTest, EditsGetTheElementsInRowMajorOrder) {
  std::vector<std::vector<float>> observed(graph_.values.size());
  std::vector<float> output(kBatch * 5);
  ASSERT_TRUE(executor_
                  ->RunAndKeep(kBatch, input_, output,
                               [&](ir::ValueId value, std::span<const float> elements) {
                                 observed[value].assign(elements.begin(), elements.end());
                               },
                               {})
                  .ok());
  for (size_t value = 0; value < observed.size(); ++value) {
    std::vector<float> edited;
    const auto edit = [&](std::span<float> elements) {
      edited.assign(elements.begin(), elements.end());
    };
    ASSERT_TRUE(
        executor_->RerunWithValue(static_cast<ir::ValueId>(value), edit, false, output).ok());
    EXPECT_EQ(edited, observed[value]) << graph_.values[value].name;
  }
}

TEST_F(RerunTest, ManyAtATimeGiveTheSameBits) {
  Keep();
  const auto values = static_cast<int64_t>(graph_.values.size());
  std::vector<std::vector<float>> alone(values), together(4 * values);
  for (int64_t i = 0; i < values; ++i) {
    alone[i].resize(kBatch * 5);
    ASSERT_TRUE(
        executor_->RerunWithValue(static_cast<ir::ValueId>(i), ClampElements, true, alone[i]).ok());
  }
  executor_->ParallelFor(4 * values, [&](int64_t i) {
    together[i].resize(kBatch * 5);
    const auto value = static_cast<ir::ValueId>(i % values);
    EXPECT_TRUE(executor_->RerunWithValue(value, ClampElements, true, together[i]).ok());
  });
  for (int64_t i = 0; i < 4 * values; ++i) EXPECT_EQ(together[i], alone[i % values]) << i;
}

TEST_F(RerunTest, NeedsValuesThatWereKept) {
  std::vector<float> output(kBatch * 5), shorter(5);
  const auto rerun = [&](std::span<float> to) {
    return executor_->RerunWithValue(graph_.output, ClampElements, true, to);
  };
  EXPECT_EQ(rerun(output).code(), StatusCode::kFailedPrecondition);
  Keep();
  EXPECT_TRUE(rerun(output).ok());
  EXPECT_EQ(rerun(shorter).code(), StatusCode::kInvalidArgument);
  executor_->Forget();
  EXPECT_EQ(rerun(output).code(), StatusCode::kFailedPrecondition);
  Keep();
  ASSERT_TRUE(executor_->Run(kBatch, input_, output).ok());
  EXPECT_EQ(rerun(output).code(), StatusCode::kFailedPrecondition);
}

TEST_F(RerunTest, ExceptionsOfTheEditBecomeAStatus) {
  Keep();
  std::vector<float> output(kBatch * 5);
  const Status status = executor_->RerunWithValue(
      graph_.nodes[1].output, [](std::span<float>) { throw std::runtime_error("disk full"); }, true,
      output);
  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_THAT(status.message(), testing::AllOf(HasSubstr("relu6"), HasSubstr("disk full")));
}

}  // namespace
}  // namespace haq::float_exec
