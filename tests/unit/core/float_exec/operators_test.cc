// Every operator against plain loops, every value of the graph, batches of 1 and 3.
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <random>

#include "core/float_exec/executor.h"
#include "tests/unit/core/float_exec/reference.h"

namespace haq::float_exec {
namespace {

using ir::Shape;

class OperatorsTest : public testing::Test {
 protected:
  OperatorsTest() {
    const char* text = std::getenv("HAQ_TEST_SEED");
    const uint64_t seed = text != nullptr ? std::strtoull(text, nullptr, 10) : 7;
    RecordProperty("HAQ_TEST_SEED", std::to_string(seed));
    random_.seed(seed);
  }

  Elements Random(int64_t count) {
    std::normal_distribution<float> normal(0, 2);
    Elements elements(static_cast<size_t>(count));
    for (float& element : elements) element = normal(random_);
    return elements;
  }
  ir::Constant Weights(const Shape& shape) { return {shape, Random(*ir::ElementCount(shape))}; }

  void Start(const Shape& shape) {
    graph_ = {};
    graph_.input = last_ = graph_.AddValue("x", shape);
  }
  ir::ValueId Join(ir::Op op, std::vector<ir::ValueId> inputs, const Shape& declared = {}) {
    std::vector<Shape> shapes;
    for (const ir::ValueId input : inputs) shapes.push_back(graph_.values[input].shape);
    const Result<Shape> shape = InferShape(op, shapes, declared);
    EXPECT_TRUE(shape.ok()) << shape.status().ToString();
    const std::string name = "n" + std::to_string(graph_.nodes.size());
    return last_ = graph_.AddNode(name, std::move(op), std::move(inputs), *shape);
  }
  ir::ValueId Append(ir::Op op, const Shape& declared = {}) {
    return Join(std::move(op), {last_}, declared);
  }

  void Check() {
    for (const int64_t n : {1, 3}) CheckBatch(n);
  }

  void CheckBatch(int64_t n) {
    graph_.output = last_;
    const auto count = static_cast<size_t>(*ir::ElementCount(graph_.values[graph_.input].shape));
    const Elements input = Random(n * static_cast<int64_t>(count));
    std::vector<std::vector<Elements>> expected;
    for (int64_t i = 0; i < n; ++i) {
      const auto begin = input.begin() + i * static_cast<int64_t>(count);
      expected.push_back(RunReference(graph_, {begin, begin + static_cast<int64_t>(count)}));
    }
    auto executor = Executor::Create(graph_, 1);
    ASSERT_TRUE(executor.ok()) << executor.status().ToString();
    Elements output(expected[0][graph_.output].size() * static_cast<size_t>(n));
    const Status status = (*executor)->Run(
        n, input, output,
        [&](ir::ValueId id, std::span<const float> elements) { Compare(id, elements, expected); });
    ASSERT_TRUE(status.ok()) << status.ToString();
    Compare(graph_.output, output, expected);
  }

  void Compare(ir::ValueId id, std::span<const float> elements,
               const std::vector<std::vector<Elements>>& expected) {
    const size_t each = expected[0][id].size();
    ASSERT_EQ(elements.size(), each * expected.size());
    // A sum near zero is as inexact as its terms: the largest value says how large those are.
    float largest = 1;
    for (const auto& image : expected) {
      for (const float value : image[id]) largest = std::max(largest, std::abs(value));
    }
    for (size_t i = 0; i < elements.size(); ++i) {
      const float wanted = expected[i / each][id][i % each];
      ASSERT_NEAR(elements[i], wanted, 1e-5 * largest + 1e-4 * std::abs(wanted))
          << graph_.values[id].name << "[" << i << "] in a batch of " << expected.size();
    }
  }

  ir::Graph graph_;
  ir::ValueId last_ = -1;
  std::mt19937_64 random_;
};

TEST_F(OperatorsTest, ConvolutionsOfAllKinds) {
  std::uniform_int_distribution<int64_t> small(0, 2);
  for (int round = 0; round < 30; ++round) {
    const int64_t groups = small(random_) + 1, in = groups * (small(random_) + 1),
                  out = groups * (small(random_) + 1);
    ir::Conv2d conv;
    conv.groups = groups;
    conv.weight = Weights({out, in / groups, small(random_) + 1, small(random_) + 1});
    if (round % 3 != 0) conv.bias = Random(out);
    conv.stride = {small(random_) + 1, small(random_) + 1};
    conv.dilation = {small(random_) + 1, small(random_) + 1};
    conv.padding = {small(random_), small(random_), small(random_), small(random_)};
    Start({1, in, 7 + small(random_), 7});  // at least what a kernel spans
    Append(conv);
    Append(ir::Clamp{.low = 0});
    Check();
  }
}

TEST_F(OperatorsTest, DepthwiseConvolution) {
  ir::Conv2d conv;
  conv.groups = 32;
  conv.weight = Weights({32, 1, 3, 3});
  conv.stride = {2, 2};
  conv.padding = {.top = 0, .left = 0, .bottom = 1, .right = 1};
  Start({1, 32, 8, 8});
  Append(conv);
  Check();
}

// One-sided padding becomes part of the kernel.
TEST_F(OperatorsTest, DepthwiseConvolutionsWithEveryPadding) {
  for (int64_t sides = 0; sides < 81; ++sides) {
    ir::Conv2d conv;
    conv.groups = 16;
    conv.weight = Weights({16, 1, 3, 2});
    conv.padding = {sides % 3, sides / 3 % 3, sides / 9 % 3, sides / 27};
    conv.stride = {1 + sides % 2, 2};
    conv.dilation = {1 + sides / 2 % 2, 1};
    if (sides % 5 != 0) conv.bias = Random(16);
    Start({1, 16, 7, 8});
    Append(conv);
    Check();
  }
}

TEST_F(OperatorsTest, LinearWithManyWeights) {
  Start({1, 16, 2, 4});
  Append(ir::Permute{{0, 3, 1, 2}});
  Append(ir::Reshape{}, Shape{1, 128});
  Append(ir::Linear{Weights({600, 128}), Random(600)});
  Append(ir::Linear{Weights({120, 600}), {}});
  Check();
}

TEST_F(OperatorsTest, LinearOnAnyRank) {
  for (const Shape& shape : {Shape{1, 6}, Shape{1, 3, 6}, Shape{1, 2, 3, 6}}) {
    Start(shape);
    Append(ir::Linear{Weights({5, 6}), Random(5)});
    Append(ir::Linear{Weights({2, 5}), {}});
    Check();
  }
}

TEST_F(OperatorsTest, ElementwiseFunctions) {
  for (const ir::Op& op :
       {ir::Op(ir::Clamp{-1, 2}), ir::Op(ir::Clamp{.low = 0}), ir::Op(ir::Clamp{.high = 1}),
        ir::Op(ir::Clamp{.low = -1,
        .channel_high = {0.5f, -0.2f, std::numeric_limits<float>::infinity()}}),
        ir::Op(ir::LeakyRelu{0.3f}), ir::Op(ir::Sigmoid{}), ir::Op(ir::HardSigmoid{}),
        ir::Op(ir::Silu{}), ir::Op(ir::HardSwish{}), ir::Op(ir::Tanh{}),
        ir::Op(ir::ChannelAffine{{1, -2, 0.5f}, {0, 1, 2}}), ir::Op(ir::Softmax{1}),
        ir::Op(ir::Softmax{3})}) {
    SCOPED_TRACE(ir::OpName(op));
    Start({1, 3, 4, 5});
    // Once on the input, which nobody may write into, once where the memory is free.
    Append(op);
    Append(op);
    Check();
  }
}

TEST_F(OperatorsTest, AddAndMulBroadcastEitherWay) {
  for (const ir::Op& op : {ir::Op(ir::Add{}), ir::Op(ir::Mul{})}) {
    Start({1, 3, 4, 5});
    const ir::ValueId x = graph_.input;
    const ir::ValueId pooled = Join(ir::AvgPool2d{{0}, {4}, {0}, {5}, 0}, {x});
    const ir::ValueId t = Join(ir::Tanh{}, {x});
    Join(op, {t, pooled});
    Join(op, {pooled, last_});
    Join(op, {last_, x});
    Join(op, {last_, last_});
    Check();
  }
}

TEST_F(OperatorsTest, MaxPools) {
  const ir::MaxPool2d pools[] = {
      {{2, 2}, {2, 2}, {1, 1}, {}},           {{3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}},
      {{3, 2}, {2, 2}, {1, 1}, {0, 0, 1, 1}}, {{3, 3}, {2, 3}, {1, 1}, {2, 0, 2, 1}},
      {{2, 3}, {1, 2}, {2, 2}, {1, 0, 0, 2}}, {{3, 3}, {3, 3}, {1, 1}, {1, 1, 2, 0}}};
  for (const ir::MaxPool2d& pool : pools) {
    Start({1, 2, 7, 8});
    Append(pool);
    Check();
  }
}

TEST_F(OperatorsTest, AveragePoolsRegularAndIrregular) {
  const ir::AvgPool2d pools[] = {
      {{0, 2, 4}, {2, 4, 6}, {0, 4}, {4, 8}, 0},              // plain
      {{0, 1, 3, 5}, {2, 4, 6, 7}, {0, 1}, {8, 8}, 0},        // cut at both ends
      {{0, 1, 3, 5}, {2, 4, 6, 7}, {0, 1, 3}, {2, 4, 6}, 9},  // a fixed divisor
      {{0, 2, 4}, {3, 5, 7}, {0, 2, 5}, {3, 6, 8}, 0},        // adaptive
      {{0, 0, 6}, {1, 7, 7}, {3, 0}, {4, 8}, 0},              // anything
      {{0}, {7}, {0}, {8}, 0},                                // global
      {{0}, {7}, {0, 1, 2, 3, 4, 5, 6, 7}, {1, 2, 3, 4, 5, 6, 7, 8}, 1}};
  for (const ir::AvgPool2d& pool : pools) {
    Start({1, 2, 7, 8});
    Append(pool);
    Check();
  }
}

TEST_F(OperatorsTest, ShapesAndSelections) {
  Start({1, 4, 3, 5});
  const ir::ValueId slice = Append(ir::Slice{3, 1, 2}, Shape{1, 4, 3, 2});
  const ir::ValueId pad = Append(ir::Pad{{0, 1, 0, 2}, {0, 2, 1, 0}, -1.5f});
  Append(ir::Slice{1, 0, 3}, Shape{1, 3, 4, 4});
  Append(ir::Permute{{0, 3, 1, 2}});
  Join(ir::Concat{1}, {pad, pad});
  Append(ir::Slice{1, 2, 1}, Shape{1, 4, 4, 4});
  Append(ir::Slice{2, 0, 1}, Shape{1, 4, 3, 4});
  Append(ir::Slice{3, 1, 2}, Shape{1, 4, 3, 2});
  Join(ir::Concat{3}, {last_, slice, last_});
  Append(ir::Permute{{0, 2, 3, 1}});
  Append(ir::Reshape{}, Shape{1, 72});
  Check();
}

// Channels last inside must not show in the order of elements.
TEST_F(OperatorsTest, FlattenAfterAConvolutionKeepsTheOrder) {
  ir::Conv2d conv;
  conv.weight = Weights({20, 3, 3, 3});
  Start({1, 3, 7, 6});
  Append(conv);
  Append(ir::Reshape{}, Shape{1, 20 * 5 * 4});
  Append(ir::Linear{Weights({3, 20 * 5 * 4}), {}});
  Check();
}

TEST_F(OperatorsTest, ChannelShuffleBetweenConvolutions) {
  ir::Conv2d conv;
  conv.weight = Weights({6, 6, 1, 1});
  Start({1, 6, 4, 4});
  Append(conv);
  Append(ir::Reshape{}, Shape{1, 2, 3, 4, 4});
  Append(ir::Permute{{0, 2, 1, 3, 4}});
  Append(ir::Reshape{}, Shape{1, 6, 4, 4});
  Append(conv);
  Append(ir::MaxPool2d{{2, 2}, {2, 2}, {1, 1}, {}});
  Check();
}

}  // namespace
}  // namespace haq::float_exec
