#include "core/fixedpoint/requantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "tests/support/seed.h"

namespace haq::fixedpoint {
namespace {

using testing::HasSubstr;

constexpr int64_t kInt32Min = std::numeric_limits<int32_t>::min();
constexpr int64_t kInt32Max = std::numeric_limits<int32_t>::max();

struct Case {
  double scale, constant;
  int64_t acc_min, acc_max;
  int zero_point, q_min = 0, q_max = 255;

  Result<LayerRequantize> Choose() const {
    return ChooseRequantize({{scale, constant, acc_min, acc_max, q_max}}, {zero_point, q_min, {}});
  }
  // What real arithmetic gives, before rounding.
  long double Exact(int64_t acc) const {
    const long double q =
        zero_point + static_cast<long double>(scale) * (static_cast<long double>(constant) + acc);
    return std::clamp<long double>(q, q_min, q_max);
  }
};

uint8_t Apply(const LayerRequantize& layer, int64_t acc) {
  const ChannelRequantize& r = layer.channels[0];
  const int64_t sum = acc + r.bias;
  EXPECT_GE(sum, kInt32Min);
  EXPECT_LE(sum, kInt32Max);
  return Requantize(static_cast<int32_t>(sum), r, layer.tensor);
}

class Random {
 public:
  explicit Random(uint64_t salt) : engine_(test::Seed() + salt) {}
  double Real(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(engine_);
  }
  int64_t Integer(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine_);
  }

 private:
  std::mt19937_64 engine_;
};

// A layer whose results cover the output's range and something beyond it.
Case RandomCase(Random& random, double low_exponent, double high_exponent) {
  Case c;
  c.scale = std::exp2(random.Real(low_exponent, high_exponent));
  c.zero_point = static_cast<int>(random.Integer(0, 255));
  c.q_min = static_cast<int>(random.Integer(0, 3) == 0 ? c.zero_point : 0);
  const double reach = std::min(random.Real(10, 600) / c.scale, 1e9);
  c.acc_min = -static_cast<int64_t>(reach * random.Real(0, 1));
  c.acc_max = static_cast<int64_t>(reach * random.Real(0, 1));
  c.constant = std::clamp(random.Real(-200, 200) / c.scale, -5e8, 5e8);
  return c;
}

// The largest error over random accumulators, both ends and the places where the result saturates.
double LargestError(const Case& c, const LayerRequantize& layer, Random& random) {
  double largest = 0;
  const auto visit = [&](int64_t acc) {
    acc = std::clamp(acc, c.acc_min, c.acc_max);
    largest = std::max(largest, static_cast<double>(std::abs(c.Exact(acc) - Apply(layer, acc))));
  };
  for (int i = 0; i < 50; ++i) visit(random.Integer(c.acc_min, c.acc_max));
  for (const int level : {c.q_min, c.q_max, 128}) {
    // The accumulators around the middle between this level and its neighbours.
    for (const double half : {-0.5, 0.5}) {
      const double acc = (level + half - c.zero_point) / c.scale - c.constant;
      for (int64_t i = -2; i <= 2; ++i) {
        visit(static_cast<int64_t>(std::clamp(acc, -4e9, 4e9)) + i);
      }
    }
  }
  visit(c.acc_min);
  visit(c.acc_max);
  return largest;
}

TEST(ChooseRequantize, CentredErrorIsBelow052Steps) {
  Random random(1);
  for (int i = 0; i < 20000; ++i) {
    const Case c = RandomCase(random, -21.9, -7.001);
    const auto layer = c.Choose();
    ASSERT_TRUE(layer.ok()) << layer.status().ToString();
    ASSERT_EQ(layer->tensor.fraction_bits, 7);
    ASSERT_EQ(layer->tensor.output_offset, 128);
    ASSERT_LT(LargestError(c, *layer, random), 0.52)
        << "scale " << c.scale << " constant " << c.constant << " zero point " << c.zero_point;
  }
}

TEST(ChooseRequantize, DirectErrorIsBelowItsBound) {
  Random random(2);
  for (int i = 0; i < 20000; ++i) {
    const Case c = RandomCase(random, -6.999, 7.999);
    const auto layer = c.Choose();
    ASSERT_TRUE(layer.ok()) << layer.status().ToString();
    ASSERT_EQ(layer->tensor.fraction_bits, 6);
    ASSERT_EQ(layer->tensor.output_offset, c.zero_point);
    ASSERT_LT(LargestError(c, *layer, random), 0.5 + 0.024 + 0.5 * c.scale)
        << "scale " << c.scale << " constant " << c.constant << " zero point " << c.zero_point;
  }
}

// Scales at which the fold of the zero point, or the constant itself, does not fit int32: whatever
// is returned is right, and results that hardly depend on the accumulator are always returned.
TEST(ChooseRequantize, TinyScalesAreRightOrRefused) {
  Random random(3);
  int chosen = 0;
  for (int i = 0; i < 20000; ++i) {
    Case c;
    c.scale = std::exp2(random.Real(-38, -20));
    c.zero_point = static_cast<int>(random.Integer(0, 3) == 0 ? 0 : random.Integer(0, 255));
    const double reach = std::exp2(random.Real(4, 24));
    c.acc_min = -static_cast<int64_t>(reach * random.Real(0, 1));
    c.acc_max = static_cast<int64_t>(reach * random.Real(0, 1));
    c.constant = random.Real(-400, 400) / c.scale;
    const auto layer = c.Choose();
    const double span = c.scale * static_cast<double>(c.acc_max - c.acc_min);
    const bool flat = span <= 1.0 / 32 && c.acc_max - c.acc_min < 1 << 22;
    ASSERT_TRUE(layer.ok() || !flat)
        << layer.status().ToString() << " zero point " << c.zero_point << " span " << span;
    if (!layer.ok()) {
      EXPECT_THAT(layer.status().message(), HasSubstr("channel 0"));
      continue;
    }
    ++chosen;
    ASSERT_LT(LargestError(c, *layer, random), 0.525)
        << "scale " << c.scale << " constant " << c.constant << " zero point " << c.zero_point
        << " acc [" << c.acc_min << ", " << c.acc_max << "]";
  }
  EXPECT_GT(chosen, 15000);
}

TEST(ChooseRequantize, DeadChannelsOfAReluLayerStayCentred) {
  // Two live channels and one whose weights are nearly zero: the constant alone decides.
  const auto layer = ChooseRequantize({{0.001, 100, -1000000, 1000000},
                                       {0x1p-38, 37.2 * 0x1p38, -10000, 10000},
                                       {0.002, 0, -1000000, 1000000}},
                                      {});
  ASSERT_TRUE(layer.ok()) << layer.status().ToString();
  EXPECT_EQ(layer->tensor.fraction_bits, 7);
  const ChannelRequantize& dead = layer->channels[1];
  for (const int acc : {-10000, -1, 0, 1, 10000}) {
    EXPECT_EQ(Requantize(acc + dead.bias, dead, layer->tensor), 37);
  }
}

TEST(ChooseRequantize, SaturatedChannelsSaturate) {
  for (const double steps : {-1e6, 1e6}) {
    const Case c{0x1p-30, steps * 0x1p30, -8000000, 8000000, 7};
    const auto layer = c.Choose();
    ASSERT_TRUE(layer.ok()) << layer.status().ToString();
    for (const int64_t acc : {c.acc_min, int64_t{0}, c.acc_max}) {
      EXPECT_EQ(Apply(*layer, acc), steps < 0 ? 0 : 255);
    }
  }
}

TEST(ChooseRequantize, OneLargeScaleMakesTheTensorDirect) {
  const auto layer =
      ChooseRequantize({{0.001, 0, -1000, 1000}, {0.01, 0, -1000, 1000}}, {.zero_point = 77});
  ASSERT_TRUE(layer.ok());
  EXPECT_EQ(layer->tensor.fraction_bits, 6);
  EXPECT_EQ(layer->tensor.output_offset, 77);
  EXPECT_EQ(Requantize(layer->channels[0].bias, layer->channels[0], layer->tensor), 77);
}

TEST(ChooseRequantize, ParametersAreInRangeAtTheEnds) {
  for (const double scale :
       {0x1p-38, 0x1p-8, std::nextafter(0x1p-7, 0), 0x1p-7, std::nextafter(0x1p8, 0)}) {
    for (const int zero_point : {0, 128, 255}) {
      const Case c{scale, 0, -1000, 1000, zero_point};
      const auto layer = c.Choose();
      ASSERT_TRUE(layer.ok()) << scale << " " << layer.status().ToString();
      const ChannelRequantize& r = layer->channels[0];
      EXPECT_GE(r.multiplier, 1 << 14);
      EXPECT_GE(r.shift, -15);
      EXPECT_LE(r.shift, 31);
      EXPECT_EQ(Apply(*layer, 0), zero_point);
    }
  }
}

// Saturation, not wrapping: the result never falls while the accumulator grows over all of int32.
TEST(Requantize, IsMonotonicOverAllOfInt32) {
  Random random(4);
  for (int i = 0; i < 2000; ++i) {
    TensorRequantize tensor;
    tensor.fraction_bits = random.Integer(0, 1) == 0 ? 6 : 7;
    tensor.output_offset =
        tensor.fraction_bits == 7 ? 128 : static_cast<int16_t>(random.Integer(0, 255));
    ChannelRequantize channel;
    channel.multiplier = static_cast<int16_t>(i % 3 == 0   ? 1 << 14
                                              : i % 3 == 1 ? 32767
                                                           : random.Integer(1 << 14, 32767));
    channel.shift = static_cast<int8_t>(random.Integer(-15, 31));
    std::vector<int32_t> accs = {static_cast<int32_t>(kInt32Min),
                                 static_cast<int32_t>(kInt32Max),
                                 -1,
                                 0,
                                 1,
                                 -32769,
                                 -32768,
                                 32767,
                                 32768};
    for (int k = 0; k < 200; ++k) {
      accs.push_back(
          static_cast<int32_t>(random.Integer(kInt32Min, kInt32Max) >> random.Integer(0, 30)));
    }
    std::sort(accs.begin(), accs.end());
    uint8_t last = 0;
    for (const int32_t acc : accs) {
      const uint8_t q = Requantize(acc, channel, tensor);
      ASSERT_GE(q, last) << "acc " << acc << " multiplier " << channel.multiplier << " shift "
                         << int{channel.shift};
      last = q;
    }
    // Both ends of the range are reached where the accumulator is wide enough for them.
    if (channel.shift <= 16) {
      EXPECT_EQ(Requantize(accs.front(), channel, tensor), 0);
      EXPECT_EQ(Requantize(accs.back(), channel, tensor), 255);
    }
  }
}

TEST(Requantize, ClampsToTheFusedRange) {
  const TensorRequantize relu6{7, 128, 20};
  const ChannelRequantize low{0, 1 << 14, 0, 200}, high{0, 1 << 14, 0, 230};
  EXPECT_EQ(Requantize(-1000000, low, relu6), 20);
  EXPECT_EQ(Requantize(1000000, low, relu6), 200);
  EXPECT_EQ(Requantize(1000000, high, relu6), 230);
  EXPECT_EQ(Requantize(0, low, relu6), 128);
}

// The form that most systems use: a 31-bit multiplier, a doubling high multiply, and a rounding
// shift, in 64 bits.
int Textbook(int64_t acc, double scale, int zero_point) {
  int exponent = 0;
  int64_t multiplier = std::llround(std::frexp(scale, &exponent) * 0x1p31);
  const int64_t product = acc * multiplier;
  const int shift = 31 - exponent;
  const int64_t rounded = (product + (int64_t{1} << (shift - 1))) >> shift;
  return static_cast<int>(std::clamp<int64_t>(rounded + zero_point, 0, 255));
}

// Error power against exact real arithmetic, in steps: within 0.05 dB of the textbook form.
TEST(Requantize, LosesNextToNothingAgainstThe31BitForm) {
  Random random(5);
  double ours = 0, textbook = 0;
  int differences = 0, count = 0;
  for (int i = 0; i < 3000; ++i) {
    Case c = RandomCase(random, -21, -7.001);
    c.q_min = 0;
    c.constant = std::round(c.constant);
    const auto layer = c.Choose();
    ASSERT_TRUE(layer.ok());
    for (int k = 0; k < 200; ++k) {
      const int64_t acc = random.Integer(c.acc_min, c.acc_max);
      const double exact = static_cast<double>(c.Exact(acc));
      if (exact <= 0 || exact >= 255) continue;
      const int a = Apply(*layer, acc);
      const int b = Textbook(acc + static_cast<int64_t>(c.constant), c.scale, c.zero_point);
      ours += (a - exact) * (a - exact);
      textbook += (b - exact) * (b - exact);
      differences += a != b;
      ++count;
    }
  }
  ASSERT_GT(count, 100000);
  EXPECT_LT(10 * std::log10(ours / textbook), 0.05);
  EXPECT_LT(static_cast<double>(differences) / count, 0.01);
}

TEST(ChooseRequantize, RefusesWhatItCannotRepresent) {
  const auto expect = [](const Result<LayerRequantize>& result, const std::string& message) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(result.status().message(), HasSubstr(message));
  };
  expect(ChooseRequantize({{0.01, 0, 0, 9}, {0x1p-39, 0, 0, 9}}, {}), "channel 1");
  expect(ChooseRequantize({{256, 0, 0, 9}}, {}), "outside [2^-38, 2^8)");
  expect(ChooseRequantize({{std::nan(""), 0, 0, 9}}, {}), "channel 0");
  expect(ChooseRequantize({{0.01, std::nan(""), 0, 9}}, {}), "not finite");
  expect(ChooseRequantize({{0.01, 0, 5, 4}}, {}), "not an accumulator range");
  expect(ChooseRequantize({{0.01, 0, 0, 9}}, {.zero_point = 256}), "zero point 256");
  expect(ChooseRequantize({{0.01, 0, 0, 9}, {0.01, 0, 0, 9, 8}}, {.q_min = 9}),
         "channel 1: clamp [9, 8]");
  expect(ChooseRequantize({{0.01, 0, 0, 9}, {1e-7, 0, 0, int64_t{1} << 31}}, {}), "channel 1");
  expect(ChooseRequantize({{1e-7, 1.2e9, 0, int64_t{1} << 30}}, {.zero_point = 128}),
         "can leave int32");
}

}  // namespace
}  // namespace haq::fixedpoint
