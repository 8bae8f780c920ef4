#include "core/float_exec/executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <new>
#include <random>

namespace haq::float_exec {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// x -> double -> relu -> (+ x)
ir::Graph SmallGraph() {
  ir::Graph graph;
  graph.input = graph.AddValue("x", {1, 2});
  const ir::ValueId twice =
      graph.AddNode("twice", ir::ChannelAffine{{2, 2}, {0, 0}}, {graph.input}, {1, 2});
  const ir::ValueId relu = graph.AddNode("relu", ir::Clamp{.low = 0}, {twice}, {1, 2});
  graph.output = graph.AddNode("sum", ir::Add{}, {relu, graph.input}, {1, 2});
  return graph;
}

std::unique_ptr<Executor> Make(const ir::Graph& graph, int threads = 1) {
  auto executor = Executor::Create(graph, threads);
  EXPECT_TRUE(executor.ok()) << executor.status().ToString();
  return *std::move(executor);
}

TEST(Executor, ObserverGetsEveryValueInOrderForTheWholeBatch) {
  const ir::Graph graph = SmallGraph();
  const auto executor = Make(graph);
  const std::vector<float> input = {1, -2, -3, 4};
  std::vector<float> output(4);
  std::vector<std::pair<ir::ValueId, std::vector<float>>> seen;
  ASSERT_TRUE(executor
                  ->Run(2, input, output,
                        [&](ir::ValueId id, std::span<const float> elements) {
                          seen.emplace_back(id,
                                            std::vector<float>(elements.begin(), elements.end()));
                        })
                  .ok());
  using Values = std::vector<float>;
  // The value before the clamp too, although the clamp may take its memory.
  EXPECT_THAT(seen,
              ElementsAre(std::pair(0, Values{1, -2, -3, 4}), std::pair(1, Values{2, -4, -6, 8}),
                          std::pair(2, Values{2, 0, 0, 8}), std::pair(3, Values{3, -2, -3, 12})));
  EXPECT_THAT(output, ElementsAre(3, -2, -3, 12));
  EXPECT_THAT(input, ElementsAre(1, -2, -3, 4));
}

TEST(Executor, RunsAgainWithOtherBatches) {
  const ir::Graph graph = SmallGraph();
  const auto executor = Make(graph);
  for (const int64_t n : {3, 1, 5}) {
    const std::vector<float> input(static_cast<size_t>(2 * n), 1.5f);
    std::vector<float> output(input.size());
    ASSERT_TRUE(executor->Run(n, input, output).ok());
    EXPECT_THAT(output, testing::Each(4.5f));
  }
}

TEST(Executor, InputThatIsTheOutputComesBack) {
  ir::Graph graph;
  graph.input = graph.output = graph.AddValue("x", {1, 2});
  std::vector<float> output(2);
  ASSERT_TRUE(Make(graph)->Run(1, std::vector<float>{5, 6}, output).ok());
  EXPECT_THAT(output, ElementsAre(5, 6));
}

TEST(Executor, SameResultWithAndWithoutObserverAndThreads) {
  ir::Graph graph;
  graph.input = graph.AddValue("x", {1, 3, 20, 20});
  ir::Conv2d conv;
  conv.weight.shape = {8, 3, 3, 3};
  for (int i = 0; i < 8 * 27; ++i) conv.weight.data.push_back(static_cast<float>(i % 7) - 3);
  const ir::ValueId y = graph.AddNode("conv", conv, {graph.input}, {1, 8, 18, 18});
  graph.output = graph.AddNode("relu6", ir::Clamp{0, 6}, {y}, {1, 8, 18, 18});
  std::vector<float> input(2 * 1200);
  for (size_t i = 0; i < input.size(); ++i) input[i] = static_cast<float>(i % 13) / 13 - 0.5f;
  std::vector<std::vector<float>> outputs;
  for (const int threads : {1, 2, 0}) {
    const auto executor = Make(graph, threads);
    for (const Executor::Observer& observer :
         {Executor::Observer(), Executor::Observer([](ir::ValueId, std::span<const float>) {})}) {
      outputs.emplace_back(2 * 8 * 18 * 18);
      ASSERT_TRUE(executor->Run(2, input, outputs.back(), observer).ok());
    }
  }
  for (const std::vector<float>& output : outputs) {
    for (size_t i = 0; i < output.size(); ++i) ASSERT_NEAR(output[i], outputs[0][i], 1e-5);
  }
  EXPECT_EQ(outputs[0], outputs[1]);
}

std::vector<float> Noise(int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> noise(count);
  for (float& value : noise) value = normal(random);
  return noise;
}

// The kinds of layers that have kernels of their own: a convolution, a depthwise one with one-sided
// padding, a linear layer with many weights and one with few.
ir::Graph NetOfAllKernels() {
  ir::Graph graph;
  graph.input = graph.AddValue("x", {1, 3, 20, 20});
  ir::Conv2d conv;
  conv.weight = {{32, 3, 3, 3}, Noise(32 * 27, 1)};
  ir::ValueId y = graph.AddNode("conv", conv, {graph.input}, {1, 32, 18, 18});
  y = graph.AddNode("relu6", ir::Clamp{0, 6}, {y}, {1, 32, 18, 18});
  ir::Conv2d depthwise;
  depthwise.groups = 32;
  depthwise.weight = {{32, 1, 3, 3}, Noise(32 * 9, 2)};
  depthwise.stride = {2, 2};
  depthwise.padding = {0, 0, 1, 1};
  y = graph.AddNode("depthwise", depthwise, {y}, {1, 32, 9, 9});
  y = graph.AddNode("flat", ir::Reshape{}, {y}, {1, 2592});
  y = graph.AddNode("many", ir::Linear{{{100, 2592}, Noise(259200, 3)}, {}}, {y}, {1, 100});
  graph.output = graph.AddNode("few", ir::Linear{{{7, 100}, Noise(700, 4)}, {}}, {y}, {1, 7});
  return graph;
}

TEST(Executor, AnImageDoesNotDependOnThreadsNorOnItsPlaceInTheBatch) {
  const ir::Graph graph = NetOfAllKernels();
  constexpr size_t kIn = 1200, kOut = 7;
  for (const int64_t n : {2, 8, 64}) {
    std::vector<float> input = Noise(n * kIn, 5), first(n * kOut), output(first.size());
    ASSERT_TRUE(Make(graph, 1)->Run(n, input, first).ok());
    for (const int threads : {1, 2}) {
      const auto executor = Make(graph, threads);
      ASSERT_TRUE(executor->Run(n, input, output).ok());
      EXPECT_EQ(output, first) << threads << " threads, batch of " << n;
      for (const int64_t by : {1, 3}) {
        std::vector<float> moved = input, expected = first;
        std::rotate(moved.begin(), moved.begin() + by % n * kIn, moved.end());
        std::rotate(expected.begin(), expected.begin() + by % n * kOut, expected.end());
        ASSERT_TRUE(executor->Run(n, moved, output).ok());
        EXPECT_EQ(output, expected) << threads << " threads, batch of " << n << ", by " << by;
      }
    }
  }
}

TEST(Executor, TellsOnlyWhatTheObserverNeeds) {
  const ir::Graph graph = SmallGraph();
  const auto executor = Make(graph);
  std::vector<float> output(2);
  std::vector<ir::ValueId> seen;
  const Executor::Observer observer = [&](ir::ValueId id, std::span<const float>) {
    seen.push_back(id);
  };
  ASSERT_TRUE(executor
                  ->Run(1, std::vector<float>{1, -2}, output, observer,
                        {.values = {false, true, false, true}})
                  .ok());
  EXPECT_THAT(seen, ElementsAre(1, 3));
  EXPECT_THAT(output, ElementsAre(3, -2));
}

TEST(Executor, AnyOrderKeepsTheSamplesApart) {
  ir::Graph graph;
  graph.input = graph.AddValue("x", {1, 3, 20, 20});
  ir::Conv2d conv;
  conv.weight.shape = {8, 3, 3, 3};
  for (int i = 0; i < 8 * 27; ++i) conv.weight.data.push_back(static_cast<float>(i % 7) - 3);
  graph.output = graph.AddNode("conv", conv, {graph.input}, {1, 8, 18, 18});
  std::vector<float> input(2 * 1200);
  for (size_t i = 0; i < input.size(); ++i) input[i] = static_cast<float>(i % 13) / 13 - 0.5f;
  constexpr size_t kSample = 8 * 18 * 18;
  std::vector<float> output(2 * kSample), told;
  const auto executor = Make(graph);
  ASSERT_TRUE(executor
                  ->Run(2, input, output,
                        [&](ir::ValueId, std::span<const float> elements) {
                          told.assign(elements.begin(), elements.end());
                        },
                        {.values = {false, true}, .any_order = true})
                  .ok());
  ASSERT_EQ(told.size(), output.size());
  for (const size_t begin : {size_t{0}, kSample}) {
    std::sort(told.begin() + begin, told.begin() + begin + kSample);
    std::sort(output.begin() + begin, output.begin() + begin + kSample);
  }
  EXPECT_EQ(told, output);
}

TEST(Executor, ParallelForCallsEachOnceAndPassesOnExceptions) {
  const ir::Graph graph = SmallGraph();
  for (const int threads : {1, 2, 5}) {
    const auto executor = Make(graph, threads);
    EXPECT_EQ(executor->threads(), threads);
    std::vector<int> calls(100);
    executor->ParallelFor(100, [&](int64_t i) { ++calls[i]; });
    EXPECT_THAT(calls, testing::Each(1));
    EXPECT_THROW(executor->ParallelFor(4, [](int64_t) { throw std::bad_alloc(); }), std::bad_alloc);
  }
}

TEST(Executor, RefusesBuffersThatDoNotFit) {
  const ir::Graph graph = SmallGraph();
  const auto executor = Make(graph);
  std::vector<float> two(2), three(3);
  for (const Status& status : {executor->Run(1, three, two), executor->Run(1, two, three),
                               executor->Run(0, {}, {}), executor->Run(2, two, two)}) {
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr("need 2 input and 2 output elements each"));
  }
}

TEST(Executor, RefusesAGraphThatIsNotVerified) {
  ir::Graph graph = SmallGraph();
  graph.values[graph.output].shape = {1, 3};
  const auto executor = Executor::Create(graph, 1);
  EXPECT_EQ(executor.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(executor.status().message(), HasSubstr("sum"));
}

TEST(Executor, ExceptionsOfTheObserverBecomeAStatus) {
  const ir::Graph graph = SmallGraph();
  const auto executor = Make(graph);
  std::vector<float> two(2);
  const Status status = executor->Run(1, two, two, [](ir::ValueId id, std::span<const float>) {
    if (id == 2) throw std::runtime_error("disk full");
  });
  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_THAT(status.message(), testing::AllOf(HasSubstr("'relu'"), HasSubstr("disk full")));
  EXPECT_TRUE(executor->Run(1, two, two).ok());
}

}  // namespace
}  // namespace haq::float_exec
