// The arithmetic of 16-bit activations, against exact real arithmetic.
#include "core/fixedpoint/wide.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tests/support/seed.h"

namespace haq::fixedpoint {
namespace {

using testing::HasSubstr;

struct Case {
  SumChannel channel;
  SumOutput output;
  int last_level = 65535;

  // Before rounding. `level` is the residual's.
  long double Exact(int64_t acc, int level) const {
    long double q =
        output.zero_point + channel.scale * (static_cast<long double>(channel.constant) + acc);
    if (output.residual) {
      q += static_cast<long double>(output.residual->scale) * (level - output.residual->zero_point);
    }
    return std::clamp<long double>(q, output.q_min, channel.q_max);
  }
  int Computed(const WideLayerRequantize& layer, int64_t acc, int level) const {
    int64_t t = WideTerm(acc, layer.channels[0]);
    if (output.residual) {
      t += WideResidualTerm(level, {layer.residual_multiplier, output.residual->zero_point});
    }
    return WideLevel(t, layer.channels[0].q_max, {output.zero_point, output.q_min});
  }
};

class Wide : public testing::Test {
 protected:
  double Real(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random_);
  }
  int64_t Integer(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }
  int Level(int last_level) {
    const int64_t kind = Integer(0, 5);
    return static_cast<int>(kind < 3 ? kind * last_level / 2 : Integer(0, last_level));
  }

  // A sum that reaches from a part of the output's range to far beyond it.
  Case RandomCase(double low_exponent, double high_exponent, bool residual) {
    Case c;
    c.last_level = Integer(0, 1) == 0 ? 255 : 65535;
    c.output.zero_point = Level(c.last_level);
    if (Integer(0, 2) == 0) c.output.q_min = c.output.zero_point;
    c.channel.q_max =
        Integer(0, 2) == 0 ? static_cast<int>(Integer(c.output.q_min, c.last_level)) : c.last_level;
    if (residual) {
      const int last = Integer(0, 1) == 0 ? 255 : 65535;
      // At most one and a half times as wide as the output.
      c.output.residual = {Real(0, 1.5) * c.last_level / last, Level(last), last};
    }
    c.channel.scale = std::exp2(Real(low_exponent, high_exponent));
    const double reach = std::min(std::exp2(Real(-4, 6)) * c.last_level / c.channel.scale, 0x1p58);
    c.channel.acc_min = -static_cast<int64_t>(reach * Real(0, 1));
    c.channel.acc_max = static_cast<int64_t>(reach * Real(0, 1));
    c.channel.constant = Real(-1, 1) * c.last_level / c.channel.scale;
    return c;
  }

  double LargestError(const Case& c, const WideLayerRequantize& layer) {
    double largest = 0;
    const auto visit = [&](int64_t acc, int level) {
      acc = std::clamp(acc, c.channel.acc_min, c.channel.acc_max);
      const auto error = std::abs(c.Exact(acc, level) - c.Computed(layer, acc, level));
      largest = std::max(largest, static_cast<double>(error));
    };
    const SumResidual residual = c.output.residual.value_or(SumResidual{0, 0, 0});
    for (int i = 0; i < 60; ++i) {
      const int level = i == 0   ? 0
                        : i == 1 ? residual.last_level
                                 : static_cast<int>(Integer(0, residual.last_level));
      visit(Integer(c.channel.acc_min, c.channel.acc_max), level);
      visit(c.channel.acc_min, level);
      visit(c.channel.acc_max, level);
      for (const double q : {c.output.q_min - 0.5, c.channel.q_max + 0.5, Real(0, c.last_level)}) {
        const double sum = q - c.output.zero_point - residual.scale * (level - residual.zero_point);
        const double acc = sum / c.channel.scale - c.channel.constant;
        visit(static_cast<int64_t>(std::clamp(acc, -0x1p60, 0x1p60)), level);
      }
    }
    return largest;
  }

  void ExpectErrorBelow(double bound, double low_exponent, double high_exponent, bool residual) {
    for (int i = 0; i < 20000; ++i) {
      const Case c = RandomCase(low_exponent, high_exponent, residual);
      const auto layer = ChooseWideRequantize({c.channel}, c.output, c.last_level);
      ASSERT_TRUE(layer.ok()) << layer.status().ToString();
      ASSERT_LT(LargestError(c, *layer), bound + c.channel.scale / 2)
          << "scale " << c.channel.scale << " constant " << c.channel.constant << " last level "
          << c.last_level;
    }
  }

  std::mt19937_64 random_{test::Seed()};
};

// docs/integer_arithmetic.md, "Sixteen bits".
TEST_F(Wide, ErrorIsBelowItsBound) { ExpectErrorBelow(0.5005, -37.9, 15.9, false); }
TEST_F(Wide, ErrorBesideAResidualIsBelowItsBound) { ExpectErrorBelow(0.501, -37.9, 15.9, true); }

// Constants that no 64-bit sum could hold are past the clamp.
TEST_F(Wide, ConstantsBeyond64BitsSaturate) {
  for (const double sign : {-1.0, 1.0}) {
    const SumChannel channel{0x1p-38, sign * 1e30, -1000, 1000, 65535};
    const auto layer = ChooseWideRequantize({channel}, {.zero_point = 7}, 65535);
    ASSERT_TRUE(layer.ok()) << layer.status().ToString();
    const int64_t t = WideTerm(1000, layer->channels[0]);
    EXPECT_EQ(WideLevel(t, 65535, {7, 0}), sign < 0 ? 0 : 65535);
  }
}

TEST_F(Wide, ParametersAreInRangeAtTheEnds) {
  for (const double scale :
       {0x1p-38, std::nextafter(0x1p-12, 0), 0x1p-13, 0x1p-12, 1.0, std::nextafter(0x1p16, 0)}) {
    const SumChannel channel{scale, 0, -1000, 1000, 65535};
    const auto layer = ChooseWideRequantize({channel}, {.zero_point = 99}, 65535);
    ASSERT_TRUE(layer.ok()) << scale << " " << layer.status().ToString();
    const WideChannel& r = layer->channels[0];
    EXPECT_GE(r.multiplier, 1 << 30);
    EXPECT_GE(r.pre_shift, 0);
    EXPECT_LE(r.pre_shift, 26);
    EXPECT_GE(r.shift, 2);
    EXPECT_LE(r.shift, 31);
    EXPECT_EQ(WideLevel(WideTerm(0, r), 65535, {99, 0}), 99);
  }
}

TEST_F(Wide, RefusesWhatItCannotRepresent) {
  const auto expect = [](const Result<WideLayerRequantize>& result, const std::string& message) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(result.status().message(), HasSubstr(message));
  };
  const auto channel = [](double scale, double constant = 0, int64_t low = 0, int64_t high = 9) {
    return SumChannel{scale, constant, low, high, 65535};
  };
  expect(ChooseWideRequantize({channel(1), channel(0x1p-39)}, {}, 65535), "channel 1");
  expect(ChooseWideRequantize({channel(0x1p16)}, {}, 65535), "outside [2^-38, 2^16)");
  expect(ChooseWideRequantize({channel(std::nan(""))}, {}, 65535), "channel 0");
  expect(ChooseWideRequantize({channel(1, std::nan(""))}, {}, 65535), "not finite");
  expect(ChooseWideRequantize({channel(1, 0, 5, 4)}, {}, 65535), "not an accumulator range");
  expect(ChooseWideRequantize({channel(1, 0, 0, (int64_t{1} << 59) + 1)}, {}, 65535),
         "within [-2^59, 2^59]");
  expect(ChooseWideRequantize({channel(1)}, {.zero_point = 65536}, 65535), "zero point 65536");
  expect(ChooseWideRequantize({channel(1)}, {.zero_point = 0}, 255), "clamp [0, 65535]");
  const int64_t far = int64_t{1} << 58;
  expect(
      ChooseWideRequantize({channel(1e-4, 0, -far, far)}, {0, 0, SumResidual{8, 0, 65535}}, 65535),
      "cannot be added in 32 bits");
  expect(ChooseWideRequantize({channel(1)}, {0, 0, SumResidual{-1, 0, 255}}, 65535), "scale -1");
  expect(ChooseWideRequantize({channel(1)}, {0, 0, SumResidual{1, 65536, 255}}, 65535),
         "zero point 65536 of the residual");
}

TEST_F(Wide, AddErrorIsBelowItsBound) {
  for (int i = 0; i < 20000; ++i) {
    const int last_a = Integer(0, 1) == 0 ? 255 : 65535, last_b = Integer(0, 1) == 0 ? 255 : 65535;
    const int last_y = Integer(0, 1) == 0 ? 255 : 65535;
    const WideSummand a{Real(0.01, 2) * last_y / last_a, Level(last_a)};
    const WideSummand b{Real(0, 2) * last_y / last_b, Level(last_b)};
    const int zero = Level(last_y);
    const auto add = ChooseWideAddRequantize(a, b, zero, 0, last_y, last_y);
    ASSERT_TRUE(add.ok()) << add.status().ToString();
    const double bound = 0.5 + std::max(a.scale, b.scale) * 0x1p-14 + 1e-7;
    for (int k = 0; k < 20; ++k) {
      const auto x = static_cast<uint16_t>(Integer(0, last_a));
      const auto y = static_cast<uint16_t>(Integer(0, last_b));
      const double exact = std::clamp<double>(
          zero + a.scale * (x - a.zero_point) + b.scale * (y - b.zero_point), 0, last_y);
      ASSERT_LT(std::abs(WideAddRequantized(x, y, *add) - exact), bound);
    }
    EXPECT_EQ(WideAddRequantized(static_cast<uint16_t>(a.zero_point),
                                 static_cast<uint16_t>(b.zero_point), *add),
              zero)
        << "zero and zero are zero";
  }
}

TEST_F(Wide, AddRefusesWhatItCannotRepresent) {
  const auto expect = [](const Result<WideAddRequantize>& result, const std::string& message) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(result.status().message(), HasSubstr(message));
  };
  expect(ChooseWideAddRequantize({0, 0}, {0, 0}, 0, 0, 9, 65535), "both are 0");
  expect(ChooseWideAddRequantize({-1, 0}, {1, 0}, 0, 0, 9, 65535), "scale -1");
  expect(ChooseWideAddRequantize({1, 0}, {0x1p16, 0}, 0, 0, 9, 65535), "outside [0, 2^16)");
  expect(ChooseWideAddRequantize({1, 0}, {std::nan(""), 0}, 0, 0, 9, 65535), "of a summand");
  expect(ChooseWideAddRequantize({1, -1}, {1, 0}, 0, 0, 9, 65535), "zero point -1 of a summand");
  expect(ChooseWideAddRequantize({1, 0}, {1, 0}, 256, 0, 9, 255), "zero point 256");
  expect(ChooseWideAddRequantize({1, 0}, {1, 0}, 0, 9, 8, 255), "clamp [9, 8]");
}

}  // namespace
}  // namespace haq::fixedpoint
