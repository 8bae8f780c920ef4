#include "core/runtime/edges.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "tests/support/seed.h"

namespace haq::runtime {
namespace {

artifact::Tensor MakeTensor(std::vector<int32_t> shape, float scale, int32_t zero_point) {
  artifact::Tensor tensor;
  tensor.shape = std::move(shape);
  tensor.scale = scale;
  tensor.zero_point = zero_point;
  return tensor;
}

uint8_t QuantizeOne(float x, float scale, int32_t zero_point) {
  uint8_t q = 0;
  QuantizeSample(MakeTensor({1}, scale, zero_point), *kernels::ActiveKernels().value(), &x, &q, {});
  return q;
}

TEST(Quantize, RoundsHalvesUp) {
  for (const float half : {0.5f, 1.5f, 2.5f, -0.5f, -1.5f}) {
    const auto up = static_cast<int>(half + 0.5f) + 100;
    EXPECT_EQ(QuantizeOne(half, 1, 100), up);
    EXPECT_EQ(QuantizeOne(half - 0x1p-12f, 1, 100), up);
    EXPECT_EQ(QuantizeOne(half - 0x1p-8f, 1, 100), up - 1);
  }
}

TEST(Quantize, SpecialValues) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const int zero : {0, 7, 255}) {
    for (const float scale : {1e-30f, 0.1f, 1e30f}) {
      EXPECT_EQ(QuantizeOne(std::nanf(""), scale, zero), zero);
      EXPECT_EQ(QuantizeOne(-std::nanf(""), scale, zero), zero);
      EXPECT_EQ(QuantizeOne(kInfinity, scale, zero), 255);
      EXPECT_EQ(QuantizeOne(-kInfinity, scale, zero), 0);
      EXPECT_EQ(QuantizeOne(0, scale, zero), zero);
      EXPECT_EQ(QuantizeOne(-0.0f, scale, zero), zero);
    }
    EXPECT_EQ(QuantizeOne(1e38f, 1e-3f, zero), 255);
    EXPECT_EQ(QuantizeOne(-1e38f, 1e-3f, zero), 0);
    EXPECT_EQ(QuantizeOne(std::numeric_limits<float>::denorm_min(), 1, zero), zero);
  }
}

TEST(Quantize, IsTheFormula) {
  std::mt19937_64 random(test::Seed());
  std::uniform_real_distribution<float> value(-300, 300), scales(0.01f, 2);
  for (int i = 0; i < 200000; ++i) {
    const float x = value(random), scale = scales(random);
    const int zero = static_cast<int>(random() % 256);
    const float expected = std::clamp(std::nearbyint(x / scale + 0x1p-10f) + zero, 0.0f, 255.0f);
    ASSERT_EQ(QuantizeOne(x, scale, zero), expected) << x << " " << scale << " " << zero;
  }
}

// However a program computes x / 127.5 - 1, every pixel lies just between two levels and goes up.
TEST(Quantize, PixelsBetweenLevelsAreNotSplitByRoundingErrors) {
  const float scale = 1 / 127.5f;
  for (int pixel = 0; pixel < 256; ++pixel) {
    const auto p = static_cast<float>(pixel);
    EXPECT_EQ(QuantizeOne(p / 127.5f - 1, scale, 127), pixel);
    EXPECT_EQ(QuantizeOne((p / 255 - 0.5f) / 0.5f, scale, 127), pixel);
    EXPECT_EQ(QuantizeOne((p - 127.5f) * scale, scale, 127), pixel);
    EXPECT_EQ(QuantizeOne(static_cast<float>(p * 0.00784313725490196 - 1), scale, 127), pixel);
  }
}

TEST(Edges, ImagesChangeTheirOrder) {
  const artifact::Tensor tensor = MakeTensor({2, 3, 4}, 0.5f, 10);  // H, W, C
  std::vector<float> real(24), back(24);
  for (int c = 0; c < 4; ++c) {
    for (int h = 0; h < 2; ++h) {
      for (int w = 0; w < 3; ++w) {
        real[(c * 2 + h) * 3 + w] = static_cast<float>(100 * h + 10 * w + c) / 2;
      }
    }
  }
  std::vector<uint8_t> stored(24);
  QuantizeSample(tensor, *kernels::ActiveKernels().value(), real.data(), stored.data(), {});
  for (int h = 0; h < 2; ++h) {
    for (int w = 0; w < 3; ++w) {
      for (int c = 0; c < 4; ++c) {
        EXPECT_EQ(stored[(h * 3 + w) * 4 + c], 10 + 100 * h + 10 * w + c);
      }
    }
  }
  DequantizeSample(tensor, stored, back);
  EXPECT_EQ(back, real);
}

TEST(Edges, OtherRanksKeepTheirOrder) {
  const artifact::Tensor tensor = MakeTensor({2, 3}, 1, 5);
  const std::vector<float> real = {0, 1, 2, 3, 4, 5};
  std::vector<uint8_t> stored(6);
  QuantizeSample(tensor, *kernels::ActiveKernels().value(), real.data(), stored.data(), {});
  EXPECT_EQ(stored, (std::vector<uint8_t>{5, 6, 7, 8, 9, 10}));
}

TEST(Edges, SixteenBitsAreQuantized) {
  artifact::Tensor tensor = MakeTensor({2, 2, 2}, 0.001f, 1000);
  tensor.type = artifact::DataType::kUint16;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  // [C, H, W] becomes [H, W, C].
  const float real[8] = {0, 1, -1, 60, 100, -kInfinity, kInfinity, std::nanf("")};
  uint16_t stored[8];
  for (int part = 0; part < 3; ++part) {
    QuantizeSample(tensor, *kernels::ActiveKernels().value(), real,
                   reinterpret_cast<uint8_t*>(stored), {part, 3});
  }
  EXPECT_EQ(std::vector<uint16_t>(stored, stored + 8),
            (std::vector<uint16_t>{1000, 65535, 2000, 0, 0, 65535, 61000, 1000}));
}

TEST(Edges, SixteenBitsAreDequantized) {
  artifact::Tensor tensor = MakeTensor({3}, 1.0f / 65535, 0);
  tensor.type = artifact::DataType::kUint16;
  const uint16_t levels[3] = {0, 300, 65535};
  std::vector<uint8_t> stored(6);
  std::memcpy(stored.data(), levels, 6);
  std::vector<float> real(3);
  DequantizeSample(tensor, stored, real);
  EXPECT_EQ(real, (std::vector<float>{0, 300.0f * (1.0f / 65535), 65535.0f * (1.0f / 65535)}));
}

}  // namespace
}  // namespace haq::runtime
