#include "core/correct/bias_correction.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/core/correct/net.h"

namespace haq::correct {
namespace {

constexpr int64_t kImages = 16;

struct Corrected {
  lower::Lowered before, after;
  std::vector<float> images;
};

Corrected Correct(const Net& net, const lower::Options& options, float offset) {
  const ir::Graph& graph = net.graph;
  Corrected result;
  result.images = Normal(kImages * *ir::ElementCount(graph.values[graph.input].shape));
  for (float& value : result.images) value += offset;
  const auto ranges = RangesOf(graph, kImages, result.images);
  result.before = *lower::Lower(graph, ranges, options);
  ChannelStatistics statistics(graph, BiasCorrectionNeeds(graph, result.before));
  auto executor = float_exec::Executor::Create(graph, 2);
  EXPECT_TRUE(statistics.Add(**executor, kImages, result.images).ok());
  ir::Graph corrected = graph;
  EXPECT_TRUE(CorrectBiases(corrected, result.before, statistics).ok());
  result.after = *lower::Lower(corrected, ranges, options);
  return result;
}

double LargestMeanError(const Net& net, const lower::Lowered& lowered,
                        const std::vector<float>& images) {
  const std::vector<float> exact = RunFp32(net.graph, kImages, images);
  const std::vector<float> rounded = RunInt8(lowered, kImages, images);
  const ir::Shape& shape = net.graph.values[net.graph.output].shape;
  const int64_t channels = shape[1], pixels = shape.size() == 4 ? shape[2] * shape[3] : 1;
  double largest = 0;
  for (int64_t c = 0; c < channels; ++c) {
    double error = 0;
    for (int64_t image = 0; image < kImages; ++image) {
      for (int64_t i = 0; i < pixels; ++i) {
        const int64_t at = (image * channels + c) * pixels + i;
        error += rounded[at] - exact[at];
      }
    }
    largest = std::max(largest, std::abs(error) / double(kImages * pixels));
  }
  return largest;
}

// Positive inputs whose mean the rounded weights multiply: the error is the same everywhere.
TEST(BiasCorrectionTest, TakesTheMeanErrorOutOfConvolutions) {
  for (const int64_t groups : {1, 4}) {
    Net net({1, 4, 12, 12});
    net.graph.output = net.Conv(net.graph.input, 8, groups);
    lower::Options options;
    options.weights = quant::WeightGranularity::kPerTensor;
    const Corrected c = Correct(net, options, 3);
    const double before = LargestMeanError(net, c.before, c.images);
    const double after = LargestMeanError(net, c.after, c.images);
    EXPECT_LT(after, 0.3 * before) << "groups " << groups;
  }
}

TEST(BiasCorrectionTest, TakesTheMeanErrorOutOfLinearLayersThatReadAnImage) {
  Net net({1, 5, 4, 3});
  const ir::ValueId flat = net.Add(ir::Reshape{}, {net.graph.input}, {1, 60});
  net.graph.output = net.Linear(flat, 7);
  lower::Options options;
  options.weights = quant::WeightGranularity::kPerTensor;
  const Corrected c = Correct(net, options, 3);
  EXPECT_LT(LargestMeanError(net, c.after, c.images),
            0.7 * LargestMeanError(net, c.before, c.images));
}

TEST(BiasCorrectionTest, GivesABiasToLayersWithoutOne) {
  Net net({1, 4, 6, 6});
  net.graph.output = net.Conv(net.graph.input, 3);
  net.ConvAt(0).bias.clear();
  const Corrected c = Correct(net, {}, 3);
  EXPECT_LT(LargestMeanError(net, c.after, c.images), LargestMeanError(net, c.before, c.images));
}

TEST(BiasCorrectionTest, RaisesTheSqnrOfADeepNetwork) {
  Net net({1, 3, 16, 16});
  ir::ValueId x = net.graph.input;
  for (int layer = 0; layer < 5; ++layer) x = net.Add(ir::Clamp{0}, {net.Conv(x, 16)});
  net.graph.output = x;
  lower::Options options;
  options.weights = quant::WeightGranularity::kPerTensor;
  const Corrected c = Correct(net, options, 1);
  const std::vector<float> exact = RunFp32(net.graph, kImages, c.images);
  EXPECT_GT(SqnrDb(exact, RunInt8(c.after, kImages, c.images)),
            SqnrDb(exact, RunInt8(c.before, kImages, c.images)) + 0.3);
}

TEST(BiasCorrectionTest, NeedsImages) {
  Net net({1, 3, 4, 4});
  net.graph.output = net.Conv(net.graph.input, 2);
  const auto lowered =
      *lower::Lower(net.graph, std::vector<quant::Range>(net.graph.values.size(), {-1, 1}), {});
  const ChannelStatistics statistics(net.graph, BiasCorrectionNeeds(net.graph, lowered));
  EXPECT_EQ(CorrectBiases(net.graph, lowered, statistics).code(), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace haq::correct
