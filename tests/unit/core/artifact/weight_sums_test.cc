#include "core/artifact/weight_sums.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "tests/support/seed.h"

namespace haq::artifact::internal {
namespace {

TEST(WeightSums, EqualsTheLoopOverSigns) {
  std::mt19937_64 random(test::Seed());
  for (const size_t count : {0, 1, 7, 64, 4095, 4096, 4097, 20000}) {
    std::vector<int8_t> weights(count);
    for (int8_t& w : weights) w = static_cast<int8_t>(static_cast<int>(random() % 256) - 128);
    int64_t negative = 0, positive = 0;
    int8_t least = 0;
    for (const int8_t w : weights) {
      (w < 0 ? negative : positive) += w;
      least = std::min(least, w);
    }
    const WeightSums sums = SumWeights(weights);
    EXPECT_EQ(sums.negative, negative) << count;
    EXPECT_EQ(sums.positive, positive) << count;
    EXPECT_EQ(sums.least, least) << count;
  }
}

TEST(WeightSums, ExtremesDoNotOverflow) {
  EXPECT_EQ(SumWeights(std::vector<int8_t>(1 << 20, 127)).positive, int64_t{127} << 20);
  EXPECT_EQ(SumWeights(std::vector<int8_t>(1 << 20, -128)).negative, -(int64_t{128} << 20));
}

}  // namespace
}  // namespace haq::artifact::internal
