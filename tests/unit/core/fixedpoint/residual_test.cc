// A sum and a residual rounded to one level, against exact real arithmetic.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "core/fixedpoint/requantize.h"
#include "tests/support/seed.h"

namespace haq::fixedpoint {
namespace {

using testing::HasSubstr;

struct Case {
  SumChannel channel;
  SumOutput output;

  // Before rounding.
  long double Exact(int64_t acc, int level) const {
    const long double sum = channel.scale * (static_cast<long double>(channel.constant) + acc);
    const SumResidual& r = *output.residual;
    return std::clamp<long double>(output.zero_point + sum + r.scale * (level - r.zero_point),
                                   output.q_min, channel.q_max);
  }
  static int Computed(const LayerRequantize& layer, int64_t acc, int level) {
    const int64_t sum = acc + layer.channels[0].bias;
    EXPECT_EQ(sum, static_cast<int32_t>(sum));
    return RequantizeWithResidual(static_cast<int32_t>(sum), static_cast<uint8_t>(level),
                                  layer.channels[0], layer.tensor, layer.residual);
  }
};

class Residual : public testing::Test {
 protected:
  double Real(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random_);
  }
  int64_t Integer(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }
  int Level() {
    const int64_t kind = Integer(0, 5);
    return static_cast<int>(kind < 3 ? kind * 255 / 2 : Integer(0, 255));
  }

  // A sum that reaches from a part of the output's range to far beyond it.
  Case RandomCase(double low_exponent, double high_exponent, double largest_residual) {
    Case c;
    c.output.zero_point = Level();
    if (Integer(0, 2) == 0) c.output.q_min = c.output.zero_point;
    if (Integer(0, 2) == 0) c.channel.q_max = static_cast<int>(Integer(c.output.q_min, 255));
    c.output.residual = {Real(0, largest_residual), Level()};
    c.channel.scale = std::exp2(Real(low_exponent, high_exponent));
    const double reach = std::min(std::exp2(Real(4, 14)) / c.channel.scale, 1e9);
    c.channel.acc_min = -static_cast<int64_t>(reach * Real(0, 1));
    c.channel.acc_max = static_cast<int64_t>(reach * Real(0, 1));
    c.channel.constant = std::clamp(Real(-200, 200) / c.channel.scale, -5e8, 5e8);
    return c;
  }

  // The largest error over random accumulators and levels, the ends of both, and the accumulators
  // around both ends of the clamp.
  double LargestError(const Case& c, const LayerRequantize& layer) {
    double largest = 0;
    const auto visit = [&](int64_t acc, int level) {
      acc = std::clamp(acc, c.channel.acc_min, c.channel.acc_max);
      const auto error = std::abs(c.Exact(acc, level) - Case::Computed(layer, acc, level));
      largest = std::max(largest, static_cast<double>(error));
    };
    for (int i = 0; i < 60; ++i) {
      const int level = i < 2 ? i * 255 : static_cast<int>(Integer(0, 255));
      visit(Integer(c.channel.acc_min, c.channel.acc_max), level);
      visit(c.channel.acc_min, level);
      visit(c.channel.acc_max, level);
      for (const double q : {c.output.q_min - 0.5, c.channel.q_max + 0.5, Real(0, 255)}) {
        const double sum = q - c.output.zero_point -
                           c.output.residual->scale * (level - c.output.residual->zero_point);
        const double acc = sum / c.channel.scale - c.channel.constant;
        visit(static_cast<int64_t>(std::clamp(acc, -4e9, 4e9)), level);
      }
    }
    return largest;
  }

  std::mt19937_64 random_{test::Seed()};
};

// docs/integer_arithmetic.md, "Error of a sum with a residual".
double Bound(const LayerRequantize& layer, const Case& c) {
  const double unit = std::exp2(-layer.tensor.fraction_bits);
  const double sum = 255 * (1 + c.output.residual->scale);
  return 0.5 + 2 * unit + sum * 0x1p-15 + c.channel.scale / 2;
}

TEST_F(Residual, ErrorIsBelowItsBound) {
  int fraction_bits[8] = {};
  for (int i = 0; i < 20000; ++i) {
    const Case c = RandomCase(-21, -7.001, i % 2 == 0 ? 1 : 3.9);
    const auto layer = ChooseRequantize({c.channel}, c.output);
    ASSERT_TRUE(layer.ok()) << layer.status().ToString();
    ++fraction_bits[layer->tensor.fraction_bits];
    ASSERT_LT(LargestError(c, *layer), Bound(*layer, c))
        << "scale " << c.channel.scale << " constant " << c.channel.constant << " residual "
        << c.output.residual->scale << " fraction bits " << int{layer->tensor.fraction_bits};
  }
  for (int bits = 4; bits <= 7; ++bits) EXPECT_GT(fraction_bits[bits], 200) << bits;
}

// A residual no coarser than the output leaves at least six fraction bits, whatever the sum.
TEST_F(Residual, ResidualsNoCoarserThanTheOutputKeepSixFractionBits) {
  for (int i = 0; i < 5000; ++i) {
    const Case c = RandomCase(-21, -7.001, 1);
    const auto layer = ChooseRequantize({c.channel}, c.output);
    ASSERT_TRUE(layer.ok()) << layer.status().ToString();
    ASSERT_GE(layer->tensor.fraction_bits, 6);
    ASSERT_LT(LargestError(c, *layer), 0.548);
  }
}

TEST_F(Residual, LargeScalesAreRightOrRefused) {
  int chosen = 0;
  for (int i = 0; i < 20000; ++i) {
    const Case c = RandomCase(-6.999, 7.999, 2);
    const auto layer = ChooseRequantize({c.channel}, c.output);
    if (!layer.ok()) continue;
    ++chosen;
    ASSERT_EQ(layer->tensor.output_offset, c.output.zero_point);
    ASSERT_LT(LargestError(c, *layer), Bound(*layer, c));
  }
  EXPECT_GT(chosen, 10000);
}

// Weights of next to nothing: the constant term alone decides, and does not fit the accumulator.
TEST_F(Residual, TinyScalesAreRightOrRefused) {
  int chosen = 0;
  for (int i = 0; i < 20000; ++i) {
    Case c = RandomCase(-35, -20, 1.5);
    c.channel.constant = Real(-400, 400) / c.channel.scale;
    const auto layer = ChooseRequantize({c.channel}, c.output);
    if (!layer.ok()) continue;
    ++chosen;
    ASSERT_LT(LargestError(c, *layer), Bound(*layer, c) + 0x1p-5)
        << "scale " << c.channel.scale << " constant " << c.channel.constant << " acc ["
        << c.channel.acc_min << ", " << c.channel.acc_max << "]";
  }
  EXPECT_GT(chosen, 5000);
}

// Half a sum and half a residual are as good as one rounding of 8 bits can be, and better than two.
TEST_F(Residual, OneRoundingIsHalfTheNoiseOfTwo) {
  double once = 0, twice = 0;
  for (int i = 0; i < 500; ++i) {
    Case c;
    c.output = {128, 0, SumResidual{0.7, 128}};
    c.channel = {std::exp2(Real(-15, -8)), 0, -1 << 24, 1 << 24};
    const auto layer = ChooseRequantize({c.channel}, c.output);
    ASSERT_TRUE(layer.ok());
    for (int k = 0; k < 100; ++k) {
      const auto acc = static_cast<int64_t>(Real(-30, 30) / c.channel.scale);
      const int level = static_cast<int>(Integer(100, 156));
      const auto exact = static_cast<double>(c.Exact(acc, level));
      const double apart =
          std::round(std::round(c.channel.scale * static_cast<double>(acc) / 0.7) * 0.7 +
                     0.7 * (level - 128)) +
          128;
      once += std::pow(Case::Computed(*layer, acc, level) - exact, 2);
      twice += std::pow(apart - exact, 2);
    }
  }
  EXPECT_NEAR(once / 50000, 1.0 / 12, 0.002);
  EXPECT_GT(twice / once, 1.4);
}

// Results neither fall when the accumulator grows nor when the residual does, over all bits there
// are.
TEST_F(Residual, IsMonotonic) {
  for (int i = 0; i < 20000; ++i) {
    const TensorRequantize tensor{static_cast<uint8_t>(Integer(4, 7)),
                                  static_cast<int16_t>(Integer(0, 255)), 0};
    const ChannelRequantize channel{0, static_cast<int16_t>(Integer(1 << 14, 32767)),
                                    static_cast<int8_t>(Integer(-15, 31))};
    const ResidualRequantize residual{static_cast<int16_t>(Integer(0, 32767)),
                                      static_cast<uint8_t>(Level())};
    const auto acc = static_cast<int32_t>(Integer(INT32_MIN, INT32_MAX) >> Integer(0, 31));
    const auto level = static_cast<uint8_t>(Integer(0, 254));
    const int q = RequantizeWithResidual(acc, level, channel, tensor, residual);
    EXPECT_LE(q, RequantizeWithResidual(acc, level + 1, channel, tensor, residual));
    if (acc < INT32_MAX) {
      EXPECT_LE(q, RequantizeWithResidual(acc + 1, level, channel, tensor, residual));
    }
  }
}

TEST_F(Residual, RefusesWhatItCannotAdd) {
  const auto expect = [](const SumResidual& residual, const std::string& message) {
    const SumChannel channel{0.001, 0, -1 << 24, 1 << 24};
    const auto layer = ChooseRequantize({channel}, {128, 0, residual});
    EXPECT_EQ(layer.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(layer.status().message(), HasSubstr(message));
  };
  expect({8, 128}, "cannot be added in 16 bits");
  expect({7.5, 0}, "channel 0");
  expect({0.5, 256}, "zero point 256 of the residual");
  expect({-1, 0}, "scale -1 of the residual");
  expect({std::nan(""), 0}, "of the residual");
}

}  // namespace
}  // namespace haq::fixedpoint
