#include "core/calib/calibrator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

namespace haq::calib {
namespace {

constexpr int64_t kInputs = 3 * 8 * 8;

ir::Conv2d Conv(int64_t channels, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.3f);
  ir::Conv2d conv;
  conv.weight.shape = {channels, 3, 3, 3};
  conv.weight.data.resize(channels * 27);
  for (float& weight : conv.weight.data) weight = normal(random);
  conv.padding = {1, 1, 1, 1};
  return conv;
}

// conv -> relu -> max pool -> reshape -> slice and linear, with the convolution's clamp read by
// nobody else.
struct Net {
  ir::Graph graph;
  ir::ValueId conv, relu, pool, flat, half, linear;

  Net() {
    graph.input = graph.AddValue("input", {1, 3, 8, 8});
    conv = graph.AddNode("conv", Conv(4, 1), {graph.input}, {1, 4, 8, 8});
    relu = graph.AddNode("relu", ir::Clamp{0}, {conv}, {1, 4, 8, 8});
    ir::MaxPool2d max_pool;
    max_pool.kernel = {2, 2};
    max_pool.stride = {2, 2};
    pool = graph.AddNode("pool", max_pool, {relu}, {1, 4, 4, 4});
    flat = graph.AddNode("flat", ir::Reshape{}, {pool}, {1, 64});
    half = graph.AddNode("half", ir::Slice{}, {flat}, {1, 32});
    ir::Linear dense;
    dense.weight.shape = {40, 64};
    std::mt19937 random(2);
    std::normal_distribution<float> normal;
    dense.weight.data.resize(40 * 64);
    for (float& weight : dense.weight.data) weight = normal(random);
    linear = graph.AddNode("linear", dense, {flat}, {1, 40});
    graph.output = graph.AddNode("both", ir::Concat{}, {half, linear}, {1, 72});
  }
};

std::vector<float> RandomImages(int64_t n) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<float> images(n * kInputs);
  for (float& value : images) value = normal(random);
  return images;
}

class CalibratorTest : public testing::Test {
 protected:
  Calibrator Observe(const std::vector<float>& images, int64_t begin, int64_t end, int64_t batch) {
    Calibrator calibrator(net_.graph, "minmax");
    for (int64_t at = begin; at < end; at += batch) {
      const int64_t n = std::min(batch, end - at);
      EXPECT_TRUE(
          calibrator
              .ObserveBatch(*executor_, n, std::span(images).subspan(at * kInputs, n * kInputs))
              .ok());
    }
    return calibrator;
  }
  static std::vector<uint8_t> StateOf(const Calibrator& calibrator) {
    ByteWriter writer;
    calibrator.Save(writer);
    return writer.Take();
  }

  Net net_;
  std::unique_ptr<float_exec::Executor> executor_ =
      float_exec::Executor::Create(net_.graph, 1).value();
};

TEST_F(CalibratorTest, JudgesValuesByWhatIsReadOfThem) {
  const std::vector<ir::ValueId> deciding = DecidingValues(net_.graph);
  EXPECT_EQ(deciding[net_.graph.input], net_.graph.input);
  EXPECT_EQ(deciding[net_.conv], net_.pool);
  EXPECT_EQ(deciding[net_.relu], net_.pool);
  EXPECT_EQ(deciding[net_.pool], net_.pool);
  EXPECT_EQ(deciding[net_.flat], net_.pool);
  EXPECT_EQ(deciding[net_.half], net_.half);
}

TEST_F(CalibratorTest, SeesAClampThroughAReshape) {
  ir::Graph graph;
  graph.input = graph.AddValue("input", {1, 4, 2, 2});
  const auto flat = graph.AddNode("flat", ir::Reshape{}, {graph.input}, {1, 16});
  graph.output = graph.AddNode("clamp", ir::Clamp{0, 6}, {flat}, {1, 16});
  EXPECT_EQ(DecidingValues(graph),
            (std::vector<ir::ValueId>{graph.output, graph.output, graph.output}));
}

TEST_F(CalibratorTest, ValuesWithSeveralReadersStandForThemselves) {
  ir::Graph graph;
  graph.input = graph.AddValue("input", {1, 4, 2, 2});
  const auto clamp = graph.AddNode("clamp", ir::Clamp{0, 6}, {graph.input}, {1, 4, 2, 2});
  graph.output = graph.AddNode("add", ir::Add{}, {graph.input, clamp}, {1, 4, 2, 2});
  EXPECT_EQ(DecidingValues(graph)[graph.input], graph.input);

  graph.output = graph.input;  // read by the caller too
  ir::Graph short_graph;
  short_graph.input = short_graph.AddValue("input", {1, 4});
  const auto value = short_graph.AddNode("tanh", ir::Tanh{}, {short_graph.input}, {1, 4});
  short_graph.AddNode("clamp", ir::Clamp{0, 6}, {value}, {1, 4});
  short_graph.output = value;
  EXPECT_EQ(DecidingValues(short_graph)[value], value);
}

TEST_F(CalibratorTest, BatchesAndThreadsDoNotMatter) {
  const std::vector<float> images = RandomImages(70);  // over a micro-batch
  ASSERT_EQ(MicroBatchImages(kInputs), 64);
  const std::vector<uint8_t> whole = StateOf(Observe(images, 0, 70, 70));
  for (const int threads : {1, 2}) {
    executor_ = float_exec::Executor::Create(net_.graph, threads).value();
    for (const int64_t batch : {1, 7, 64, 65}) {
      EXPECT_EQ(StateOf(Observe(images, 0, 70, batch)), whole)
          << threads << " threads, batches of " << batch;
    }
  }
}

TEST_F(CalibratorTest, RefusesBatchesThatAreNotWhole) {
  Calibrator calibrator(net_.graph, "minmax");
  const std::vector<float> images = RandomImages(2);
  EXPECT_EQ(calibrator.ObserveBatch(*executor_, 3, images).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(calibrator.ObserveBatch(*executor_, 0, {}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(calibrator.images(), 0);
}

TEST(MicroBatchImages, DependsOnTheInputAlone) {
  EXPECT_EQ(MicroBatchImages(3 * 32 * 32), 64);
  EXPECT_EQ(MicroBatchImages(3 * 224 * 224), 8);
  EXPECT_EQ(MicroBatchImages(1), 64);
  EXPECT_EQ(MicroBatchImages(int64_t{1} << 40), 4);
}

TEST_F(CalibratorTest, ShardsAndCheckpointsDoNotMatter) {
  const std::vector<float> images = RandomImages(30);
  const Calibrator whole = Observe(images, 0, 30, 10);
  Calibrator first = Observe(images, 0, 10, 5);
  const Calibrator rest = Observe(images, 10, 30, 7);

  Calibrator resumed(net_.graph, "kl");
  const std::vector<uint8_t> state = StateOf(first);
  ByteReader reader(state);
  ASSERT_TRUE(resumed.Restore(reader).ok());
  EXPECT_EQ(resumed.images(), 10);
  ASSERT_TRUE(
      resumed.ObserveBatch(*executor_, 20, std::span<const float>(images).subspan(10 * kInputs))
          .ok());
  EXPECT_EQ(StateOf(resumed), StateOf(whole));

  ASSERT_TRUE(first.Merge(rest).ok());
  EXPECT_EQ(first.images(), 30);
  for (const std::string& method : MethodNames()) {
    const auto merged = *first.ChooseRanges(method, {}), wanted = *whole.ChooseRanges(method, {});
    for (size_t value = 0; value < wanted.size(); ++value) {
      if (method == "moving_minmax") {
        EXPECT_NEAR(merged[value].high, wanted[value].high, 1e-12);
      } else {
        EXPECT_EQ(merged[value], wanted[value]) << method;
      }
    }
  }
}

TEST_F(CalibratorTest, UsesItsMethodAndItsDecidingValues) {
  const Calibrator calibrator = Observe(RandomImages(10), 0, 10, 10);
  const auto ranges = *calibrator.ChooseRanges();
  EXPECT_EQ(ranges, *calibrator.ChooseRanges("minmax", {}));
  EXPECT_NE(ranges, *calibrator.ChooseRanges("redistribution", {}));
  EXPECT_GE(ranges[net_.conv].low, 0);  // seen after the clamp
  EXPECT_EQ(ranges[net_.conv], ranges[net_.flat]);
  EXPECT_LT(ranges[net_.graph.input].low, 0);
}

TEST_F(CalibratorTest, NamesTheTensorThatIsNotFiniteAndItsLayer) {
  const auto observe = [&](std::vector<float> images) {
    Calibrator calibrator(net_.graph, "minmax");
    const Status status = calibrator.ObserveBatch(*executor_, std::ssize(images) / kInputs, images);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(calibrator.ChooseRanges().status().message(), status.message());
    return status.message();
  };
  std::vector<float> images = RandomImages(2);
  images[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(observe(images),
            "tensor \"input\", the network's input: 1 of 384 values are NaN or infinite");
  // Too large for the sums of the linear layer, whose values nobody clamps.
  for (float& value : images) value = 3e38f;
  EXPECT_THAT(observe(images),
              testing::MatchesRegex("tensor \"pool\", output of layer \"pool\" \\(max_pool2d\\): "
                                    "[0-9]+ of 128 values are NaN or infinite"));
}

TEST_F(CalibratorTest, RefusesWhatIsOfAnotherNetwork) {
  ir::Graph other;
  other.input = other.AddValue("input", {1, 3, 8, 8});
  other.output = other.AddNode("tanh", ir::Tanh{}, {other.input}, {1, 3, 8, 8});
  Calibrator calibrator(other, "minmax");
  const Calibrator own = Observe(RandomImages(2), 0, 2, 2);
  EXPECT_EQ(calibrator.Merge(own).code(), StatusCode::kInvalidArgument);
  const std::vector<uint8_t> state = StateOf(own);
  ByteReader reader(state);
  EXPECT_EQ(calibrator.Restore(reader).code(), StatusCode::kDataLoss);
  for (size_t cut = 0; cut < state.size(); cut += 97) {
    Calibrator again(net_.graph, "minmax");
    ByteReader short_reader(std::span<const uint8_t>(state).first(cut));
    EXPECT_EQ(again.Restore(short_reader).code(), StatusCode::kDataLoss);
  }
}

}  // namespace
}  // namespace haq::calib
