#include "core/correct/input_shift.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/core/correct/net.h"

namespace haq::correct {
namespace {

Net OneConvolution() {
  Net net({1, 3, 8, 8});
  net.graph.output = net.Conv(net.graph.input, 4);
  return net;
}

PixelGrid Grid(double step, double offset) {
  return {std::vector<double>(3, step), std::vector<double>(3, offset)};
}

TEST(InputShiftTest, LevelsOfTheShiftedInputAreThePixels) {
  // x / 127.5 - 1
  const auto shift = FindInputShift(OneConvolution().graph, Grid(1 / 127.5, -1));
  ASSERT_TRUE(shift.has_value());
  const quant::TensorParams params =
      *quant::ChooseTensorParams(shift->range, quant::SchemePolicy::kAsymmetric);
  EXPECT_EQ(params.zero_point, 127);
  for (int pixel = 0; pixel < 256; ++pixel) {
    const double shifted = pixel / 127.5 - 1 + shift->shift[0];
    EXPECT_NEAR(shifted / params.scale + params.zero_point, pixel, 1e-4);
  }
}

TEST(InputShiftTest, PixelsThatLieOnLevelsNeedNoShift) {
  const auto shift = FindInputShift(OneConvolution().graph, Grid(1 / 255.0, 0));
  ASSERT_TRUE(shift.has_value());
  EXPECT_NEAR(shift->shift[1], 0, 1e-12);
  EXPECT_NEAR(shift->range.low, 0, 1e-12);
  EXPECT_NEAR(shift->range.high, 1, 1e-12);
}

TEST(InputShiftTest, TheShiftedNetworkGivesTheSameForShiftedInputs) {
  Net net = OneConvolution();
  net.ConvAt(0).padding = {};
  net.graph.values[net.graph.output].shape = {1, 4, 6, 6};
  const InputShift shift = *FindInputShift(net.graph, Grid(1 / 127.5, -1));
  const std::vector<float> images = Normal(2 * 3 * 64);
  const std::vector<float> before = RunFp32(net.graph, 2, images);
  ShiftInput(net.graph, shift);
  std::vector<float> moved = images;
  for (float& value : moved) value += static_cast<float>(shift.shift[0]);
  EXPECT_GT(SqnrDb(before, RunFp32(net.graph, 2, moved)), 110);
}

TEST(InputShiftTest, NothingWhereOneScaleDoesNotFit) {
  const Net net = OneConvolution();
  EXPECT_FALSE(FindInputShift(net.graph, {{0.017, 0.0175, 0.0174}, {-2.1, -2, -1.8}}))
      << "steps differ";
  EXPECT_FALSE(FindInputShift(net.graph, {{1, 1, 1}, {-104, -117, -123}})) << "offsets differ";
  EXPECT_FALSE(FindInputShift(net.graph, Grid(1 / 255.0, 2))) << "zero is not among the pixels";
  EXPECT_FALSE(FindInputShift(net.graph, Grid(-1 / 255.0, 1))) << "descending";
  Net pooled({1, 3, 8, 8});
  ir::MaxPool2d pool;
  pool.kernel = {2, 2}, pool.stride = {2, 2};
  pooled.graph.output = pooled.Conv(pooled.Add(pool, {pooled.graph.input}), 4);
  EXPECT_FALSE(FindInputShift(pooled.graph, Grid(1 / 127.5, -1))) << "pooling reads the input";
}

}  // namespace
}  // namespace haq::correct
