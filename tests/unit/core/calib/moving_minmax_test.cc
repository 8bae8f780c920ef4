#include "core/calib/moving_minmax.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "tests/support/seed.h"

namespace haq::calib {
namespace {

using Extremes = std::vector<std::pair<float, float>>;

Extremes RandomImages(size_t count) {
  std::mt19937_64 random(test::Seed());
  std::normal_distribution<float> normal(0, 1);
  Extremes images(count);
  for (auto& [low, high] : images) {
    low = -3 + normal(random);
    high = low + 1 + std::abs(normal(random));
  }
  return images;
}

MovingMinMax After(const Extremes& images, size_t begin, size_t end) {
  MovingMinMax moving;
  for (size_t i = begin; i < end; ++i) {
    moving.AddExtremes(images[i].first, images[i].second);
    moving.EndImage();
  }
  return moving;
}

TEST(MovingMinMax, FollowsItsDefinition) {
  const Extremes images = RandomImages(57);
  double low = 0, high = 0;
  for (size_t at = 0; at < images.size(); at += MovingMinMax::kMicroBatchImages) {
    const size_t end = std::min(at + MovingMinMax::kMicroBatchImages, images.size());
    float batch_low = images[at].first, batch_high = images[at].second;
    for (size_t i = at; i < end; ++i) {
      batch_low = std::min(batch_low, images[i].first);
      batch_high = std::max(batch_high, images[i].second);
    }
    low = at == 0 ? batch_low : low + 0.01 * (batch_low - low);
    high = at == 0 ? batch_high : high + 0.01 * (batch_high - high);
  }
  const quant::Range range = After(images, 0, images.size()).Current();
  EXPECT_NEAR(range.low, low, 1e-12);
  EXPECT_NEAR(range.high, high, 1e-12);
}

TEST(MovingMinMax, DependsOnTheOrder) {
  Extremes images = RandomImages(40);
  const quant::Range forwards = After(images, 0, 40).Current();
  std::reverse(images.begin(), images.end());
  EXPECT_NE(After(images, 0, 40).Current(), forwards);
}

TEST(MovingMinMax, AppendingWholeMicroBatchesIsGoingOn) {
  const Extremes images = RandomImages(115);
  const quant::Range whole = After(images, 0, 115).Current();
  for (const size_t cut : {0, 10, 20, 50, 110}) {
    MovingMinMax joined = After(images, 0, cut);
    joined.Append(After(images, cut, 115));
    EXPECT_NEAR(joined.Current().low, whole.low, 1e-12) << cut;
    EXPECT_NEAR(joined.Current().high, whole.high, 1e-12) << cut;
  }
  MovingMinMax with_nothing = After(images, 0, 13);
  with_nothing.Append({});
  EXPECT_EQ(with_nothing, After(images, 0, 13));
}

TEST(MovingMinMax, AppendingInTheMiddleOfAMicroBatchEndsIt) {
  const Extremes images = RandomImages(40);
  MovingMinMax joined = After(images, 0, 13);
  joined.Append(After(images, 13, 40));
  const auto step = [&](double& value, double towards) { value += 0.01 * (towards - value); };
  quant::Range wanted = After(images, 0, 10).Current();
  for (const auto& [begin, end] : {std::pair{10, 13}, {13, 23}, {23, 33}, {33, 40}}) {
    const quant::Range batch = After(images, begin, end).Current();
    step(wanted.low, batch.low);
    step(wanted.high, batch.high);
  }
  EXPECT_NEAR(joined.Current().low, wanted.low, 1e-12);
  EXPECT_NEAR(joined.Current().high, wanted.high, 1e-12);
}

TEST(MovingMinMax, RefusesDamagedStates) {
  const auto restore = [](const std::function<void(ByteWriter&)>& write) {
    ByteWriter writer;
    write(writer);
    ByteReader reader(writer.bytes());
    return MovingMinMax().Restore(reader).code();
  };
  const auto state = [](uint64_t batches, uint32_t pending, std::vector<double> extremes) {
    return [=](ByteWriter& writer) {
      writer.Write(batches);
      writer.Write(pending);
      for (const double value : extremes) writer.Write(value);
    };
  };
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(restore(state(2, 1, {-1, 1, -2, 2, -1, 1})), StatusCode::kOk);
  EXPECT_EQ(
      restore(state(0, 0, {kInfinity, -kInfinity, kInfinity, -kInfinity, kInfinity, -kInfinity})),
      StatusCode::kOk);
  EXPECT_EQ(restore(state(2, 10, {-1, 1, -2, 2, -1, 1})), StatusCode::kDataLoss);
  EXPECT_EQ(restore(state(2, 0, {-1, 1, -2, 2, -1, 1})), StatusCode::kDataLoss);
  EXPECT_EQ(restore(state(0, 1, {-1, 1, -2, 2, -1, 1})), StatusCode::kDataLoss);
  EXPECT_EQ(restore(state(2, 1, {1, -1, -2, 2, -1, 1})), StatusCode::kDataLoss);
  EXPECT_EQ(restore(state(2, 1, {-1, 1, -2, kInfinity, -1, 1})), StatusCode::kDataLoss);
  EXPECT_EQ(restore(state(2, 1, {-1, 1, -2, 2, -1})), StatusCode::kDataLoss);
}

}  // namespace
}  // namespace haq::calib
