#include <cmath>
#include <limits>

#include "tests/unit/core/kernels/kernel_test.h"

namespace haq::kernels {
namespace {

class QuantizeTest : public KernelTest {
 protected:
  float RandomReal(float scale) {
    constexpr float kOdd[] = {
        std::numeric_limits<float>::quiet_NaN(),  std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity(),  std::numeric_limits<float>::max(),
        std::numeric_limits<float>::denorm_min(), -0.0f};
    if (OneIn(20)) return kOdd[Int(0, 5)];
    if (OneIn(4)) return (static_cast<float>(Int(-300, 300)) + 0.5f) * scale;  // ties
    return std::uniform_real_distribution<float>(-300, 300)(random_) * scale;
  }
};
HAQ_FOR_ALL_TABLES(QuantizeTest);

TEST_P(QuantizeTest, EqualsTheDefinition) {
  Interior interior;
  for (int i = 0; i < 1000 && !HasFailure(); ++i) {
    const PlaneShape s{OneIn(2) ? 3 : Int(1, 5), Int(1, OneIn(8) ? 1200 : 90)};
    const float scale = std::exp2(std::uniform_real_distribution<float>(-20, 20)(random_));
    const int32_t zero_point = ZeroPoint();
    const auto count = static_cast<size_t>(s.channels * s.pixels);
    const test::GuardedBuffer real(count * sizeof(float));
    auto* values = reinterpret_cast<float*>(real.data());
    for (size_t k = 0; k < count; ++k) values[k] = RandomReal(scale);
    std::vector<uint8_t> expected(count);
    definition::Quantize(s, scale, zero_point, values, expected.data());
    const test::GuardedBuffer out(count);
    const int32_t parts = OneIn(3) ? Int(2, 5) : 1;
    for (int32_t part = 0; part < parts; ++part) {
      table().quantize(s, scale, zero_point, values, out.data(), {part, parts});
    }
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), out.data()))
        << s.channels << " x " << s.pixels << " scale " << scale << " zero " << zero_point;
    interior.Count(expected);
  }
  EXPECT_GT(interior.fraction(), 0.3);
}

}  // namespace
}  // namespace haq::kernels
