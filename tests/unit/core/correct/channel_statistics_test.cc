#include "core/correct/channel_statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/quant/params.h"
#include "tests/unit/core/correct/net.h"

namespace haq::correct {
namespace {

struct Fixture {
  Net net{{1, 3, 5, 7}};
  ir::ValueId conv = net.Conv(net.graph.input, 4);
  ir::ValueId relu = net.Add(ir::Clamp{0, 1}, {conv});
  std::vector<float> images = Normal(6 * 3 * 35);
  Fixture() { net.graph.output = relu; }

  ChannelFigures Figures(ir::ValueId value, std::optional<quant::TensorParams> params, int threads,
                         std::vector<int64_t> batches) const {
    ChannelStatistics statistics(net.graph, {{value, params}});
    auto executor = float_exec::Executor::Create(net.graph, threads);
    int64_t at = 0;
    for (const int64_t n : batches) {
      EXPECT_TRUE(statistics.Add(**executor, n, std::span(images).subspan(at * 105, n * 105)).ok());
      at += n;
    }
    return *statistics.Of(value);
  }
};

TEST(ChannelStatisticsTest, SumsUpEveryChannelOfEveryImage) {
  const Fixture f;
  const quant::TensorParams params = *quant::ChooseTensorParams({-2, 2.5}, {});
  const ChannelFigures figures = f.Figures(f.net.graph.input, params, 2, {6});
  ASSERT_EQ(figures.mean.size(), 3u);
  EXPECT_EQ(figures.images, 6);
  for (int64_t c = 0; c < 3; ++c) {
    double sum = 0, squares = 0, rounding = 0, low = 1e9, high = -1e9;
    for (int64_t image = 0; image < 6; ++image) {
      for (int64_t i = 0; i < 35; ++i) {
        const float x = f.images[(image * 3 + c) * 35 + i];
        sum += x, squares += double(x) * x;
        low = std::min<double>(low, x), high = std::max<double>(high, x);
        const double level =
            std::clamp(std::nearbyint(double(x / params.scale)) + params.zero_point, 0.0, 255.0);
        rounding += params.scale * (level - params.zero_point) - x;
      }
    }
    EXPECT_NEAR(figures.mean[c], sum / 210, 1e-9);
    EXPECT_NEAR(figures.mean_square[c], squares / 210, 1e-9);
    EXPECT_NEAR(figures.rounding_mean[c], rounding / 210, 1e-6);
    EXPECT_EQ(figures.low[c], low);
    EXPECT_EQ(figures.high[c], high);
  }
}

TEST(ChannelStatisticsTest, CountsWhatAClampLeavesActive) {
  const Fixture f;
  const ChannelFigures figures = f.Figures(f.relu, std::nullopt, 2, {6});
  const std::vector<float> relu = RunFp32(f.net.graph, 6, f.images);
  for (int64_t c = 0; c < 4; ++c) {
    int64_t active = 0;
    for (int64_t image = 0; image < 6; ++image) {
      for (int64_t i = 0; i < 35; ++i) {
        const float x = relu[(image * 4 + c) * 35 + i];
        active += x > 0 && x < 1;
      }
    }
    EXPECT_DOUBLE_EQ(figures.active[c], double(active) / 210);
  }
  EXPECT_TRUE(figures.rounding_mean.empty());
}

TEST(ChannelStatisticsTest, ThreadsAndBatchesLeaveNoTrace) {
  const Fixture f;
  const quant::TensorParams params = *quant::ChooseTensorParams({-2, 2.5}, {});
  const ChannelFigures one = f.Figures(f.net.graph.input, params, 1, {6});
  const ChannelFigures other = f.Figures(f.net.graph.input, params, 2, {1, 3, 2});
  EXPECT_EQ(one.mean, other.mean);
  EXPECT_EQ(one.mean_square, other.mean_square);
  EXPECT_EQ(one.rounding_mean, other.rounding_mean);
}

}  // namespace
}  // namespace haq::correct
