#include <algorithm>
#include <cmath>

#include "tests/unit/core/kernels/kernel_test.h"

namespace haq::kernels {
namespace {

class ElementwiseTest : public KernelTest {
 protected:
  PairShape RandomPair() {
    PairShape s;
    s.rows = Int(1, 20);
    s.columns = Int(1, 70);
    s.b_row_stride = OneIn(2) ? s.columns : 0;
    return s;
  }
  static int64_t BCount(const PairShape& s) {
    return s.b_row_stride == 0 ? s.columns : s.rows * s.columns;
  }
};
HAQ_FOR_ALL_TABLES(ElementwiseTest);

TEST_P(ElementwiseTest, AddEqualsTheDefinition) {
  Interior interior;
  for (int i = 0; i < 2000 && !HasFailure(); ++i) {
    const PairShape s = RandomPair();
    const auto a = Levels(s.rows * s.columns), b = Levels(BCount(s));
    AddRequantize r;
    r.multiplier_a = static_cast<int16_t>(Int(-32767, 32767));
    r.multiplier_b = static_cast<int16_t>(Int(-32767, 32767));
    r.shift = static_cast<int8_t>(OneIn(4) ? Int(0, 30) : Int(14, 17));
    r.constant = Int(-10000000, 20000000);
    r.q_max = OneIn(4) ? 200 : 255;
    std::vector<uint8_t> expected(s.rows * s.columns);
    definition::Add(s, r, a->data(), b->data(), expected.data());
    const test::GuardedBuffer out(expected.size());
    table().add(s, r, a->data(), b->data(), out.data());
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), out.data()));
    interior.Count(expected);
  }
  EXPECT_GT(interior.fraction(), 0.3);
}

TEST_P(ElementwiseTest, MulEqualsTheDefinition) {
  Interior interior;
  for (int i = 0; i < 2000 && !HasFailure(); ++i) {
    const PairShape s = RandomPair();
    const auto a = Levels(s.rows * s.columns), b = Levels(BCount(s));
    const uint8_t zero_a = ZeroPoint(), zero_b = ZeroPoint();
    const TensorRequantize tensor = RandomTensor();
    const ChannelRequantize channel = RandomChannel(10000, tensor);
    std::vector<uint8_t> expected(s.rows * s.columns);
    definition::Mul(s, zero_a, zero_b, tensor, channel, a->data(), b->data(), expected.data());
    const test::GuardedBuffer out(expected.size());
    table().mul(s, zero_a, zero_b, tensor, channel, a->data(), b->data(), out.data());
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), out.data()));
    interior.Count(expected);
  }
  EXPECT_GT(interior.fraction(), 0.3);
}

TEST_P(ElementwiseTest, TableLooksUp) {
  uint8_t values[256];
  for (uint8_t& value : values) value = static_cast<uint8_t>(Int(0, 255));
  for (int i = 0; i < 50; ++i) {
    const auto in = Levels(Int(1, 300));
    std::vector<uint8_t> expected(in->size());
    definition::Table(in->size(), values, in->data(), expected.data());
    const test::GuardedBuffer out(expected.size());
    table().table(in->size(), values, in->data(), out.data());
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), out.data()));
  }
}

TEST_P(ElementwiseTest, CountsTheEnds) {
  EndCounts all;
  for (int i = 0; i < 2000 && !HasFailure(); ++i) {
    const auto levels = Levels(Int(0, 300));
    // Neighbours of the ends, and ends, more often than chance has them.
    for (size_t at = 0; at < levels->size(); at += static_cast<size_t>(Int(1, 9))) {
      constexpr uint8_t kNear[] = {0, 1, 127, 128, 254, 255};
      levels->data()[at] = kNear[Int(0, 5)];
    }
    const auto count = static_cast<int64_t>(levels->size());
    const EndCounts expected = definition::CountEnds(count, levels->data());
    EXPECT_EQ(table().count_ends(count, levels->data()), expected) << count << " levels";
    all.low += expected.low;
    all.high += expected.high;
  }
  EXPECT_GT(all.low, 1000);
  EXPECT_GT(all.high, 1000);
}

class SoftmaxTest : public KernelTest {
 protected:
  static std::vector<uint32_t> Exponentials(double scale) {
    std::vector<uint32_t> table;
    for (int d = 0; d < 256; ++d) {
      table.push_back(static_cast<uint32_t>(std::lround(std::exp(-scale * d) * 0x1p24)));
    }
    return table;
  }
};
HAQ_FOR_ALL_TABLES(SoftmaxTest);

TEST_P(SoftmaxTest, EqualsTheDefinition) {
  for (int i = 0; i < 300 && !HasFailure(); ++i) {
    const int rows = Int(1, 5), length = Int(1, 1200);
    const auto in = Levels(int64_t{rows} * length);
    const auto exponentials = Exponentials(std::exp2(Int(-10, 2)));
    std::vector<uint16_t> expected(in->size());
    definition::Softmax(rows, length, exponentials.data(), in->data(), expected.data());
    const test::GuardedBuffer out(2 * expected.size());
    table().softmax(rows, length, exponentials.data(), in->data(),
                    reinterpret_cast<uint16_t*>(out.data()));
    EXPECT_EQ(std::memcmp(expected.data(), out.data(), out.size()), 0);
  }
}

TEST_P(SoftmaxTest, IsNearTheRealSoftmax) {
  const double scale = 0.06;
  const auto exponentials = Exponentials(scale);
  const auto in = Levels(100);
  std::vector<uint16_t> p(100);
  table().softmax(1, 100, exponentials.data(), in->data(), p.data());
  double sum = 0;
  for (const uint8_t q : in->bytes()) sum += std::exp(scale * q);
  for (size_t i = 0; i < p.size(); ++i) {
    EXPECT_NEAR(p[i] / 65535.0, std::exp(scale * in->data()[i]) / sum, 1e-5);
  }
}

}  // namespace
}  // namespace haq::kernels
