#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "core/fixedpoint/requantize.h"
#include "tests/support/seed.h"

namespace haq::fixedpoint {
namespace {

double Exact(double scale_a, int a, int zero_a, double scale_b, int b, int zero_b, int zero_y) {
  return std::clamp(zero_y + scale_a * (a - zero_a) + scale_b * (b - zero_b), 0.0, 255.0);
}

TEST(AddRequantize, ErrorIsBelow052StepsForUsualScales) {
  std::mt19937_64 random(test::Seed());
  std::uniform_int_distribution<int> level(0, 255);
  std::uniform_real_distribution<double> exponent(-20, 0.99);
  for (int i = 0; i < 3000; ++i) {
    const double scale_a = std::exp2(exponent(random)), scale_b = std::exp2(exponent(random));
    const int zero_a = level(random), zero_b = level(random), zero_y = level(random);
    const auto add = ChooseAddRequantize(scale_a, zero_a, scale_b, zero_b, zero_y, 0, 255);
    ASSERT_TRUE(add.ok()) << add.status().ToString();
    // Zero plus zero is zero, exactly.
    ASSERT_EQ(AddRequantized(static_cast<uint8_t>(zero_a), static_cast<uint8_t>(zero_b), *add),
              zero_y);
    for (int k = 0; k < 100; ++k) {
      const int a = level(random), b = level(random);
      const int q = AddRequantized(static_cast<uint8_t>(a), static_cast<uint8_t>(b), *add);
      ASSERT_LT(std::abs(q - Exact(scale_a, a, zero_a, scale_b, b, zero_b, zero_y)), 0.52)
          << scale_a << " " << scale_b << " " << a << " " << b;
    }
  }
}

TEST(AddRequantize, LargestScalesStayInsideInt32) {
  const double largest = std::nextafter(256.0, 0.0);
  for (const int zero : {0, 255}) {
    const auto add = ChooseAddRequantize(largest, zero, largest, zero, 255 - zero, 3, 250);
    ASSERT_TRUE(add.ok());
    EXPECT_EQ(AddRequantized(255, 255, *add), zero == 0 ? 250 : 3);
    EXPECT_EQ(AddRequantized(0, 0, *add), zero == 0 ? 250 : 3);
  }
  const auto tiny = ChooseAddRequantize(0x1p-20, 255, 0x1p-20, 255, 255, 0, 255);
  ASSERT_TRUE(tiny.ok());
  EXPECT_EQ(AddRequantized(0, 0, *tiny), 255);
}

TEST(AddRequantize, RefusesScalesOutsideItsRange) {
  for (const auto& add : {ChooseAddRequantize(256, 0, 1, 0, 0, 0, 255),
                          ChooseAddRequantize(1, 0, 0x1p-21, 0, 0, 0, 255),
                          ChooseAddRequantize(std::nan(""), 0, 1, 0, 0, 0, 255)}) {
    ASSERT_FALSE(add.ok());
    EXPECT_EQ(add.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(add.status().message(), testing::HasSubstr("[2^-20, 2^8)"));
  }
  EXPECT_FALSE(ChooseAddRequantize(1, 300, 1, 0, 0, 0, 255).ok());
  EXPECT_FALSE(ChooseAddRequantize(1, 0, 1, -1, 0, 0, 255).ok());
}

}  // namespace
}  // namespace haq::fixedpoint
