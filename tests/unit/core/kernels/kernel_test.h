// What the tests of all kernels share: every table is run against the definition on the same data,
// in buffers that end at an unmapped page.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "core/kernels/kernels.h"
#include "core/kernels/ref/definition.h"
#include "tests/support/guarded_buffer.h"

namespace haq::kernels {

class KernelTest : public testing::TestWithParam<const KernelTable*> {
 protected:
  KernelTest();
  const KernelTable& table() const { return *GetParam(); }

  int Int(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  bool OneIn(int n) { return Int(1, n) == 1; }
  // Mostly one of the ends or the middle.
  uint8_t ZeroPoint();

  // A guarded copy of random levels; sometimes all of one extreme.
  std::unique_ptr<test::GuardedBuffer> Levels(int64_t count);
  // Random weights of one channel after the other; some channels all 127 or all -127.
  std::unique_ptr<test::GuardedBuffer> Weights(int64_t channels, int64_t depth);
  TensorRequantize RandomTensor();
  // Spreads sums of that magnitude over the levels, with some extremes of every parameter.
  ChannelRequantize RandomChannel(double magnitude, const TensorRequantize& tensor);
  std::vector<ChannelRequantize> RandomChannels(int64_t count, double magnitude,
                                                const TensorRequantize& tensor);

  std::mt19937_64 random_;
};

// Scratch of at least `bytes`, aligned to 64, filled with a pattern; ends at an unmapped page.
std::unique_ptr<test::GuardedBuffer> Scratch(size_t bytes);

inline const int8_t* Signed(const test::GuardedBuffer& buffer) {
  return reinterpret_cast<const int8_t*>(buffer.data());
}

// Fraction of levels that are neither 0 nor 255: tests that compare saturated levels compare
// nothing.
class Interior {
 public:
  void Count(std::span<const uint8_t> levels) {
    for (const uint8_t q : levels) inside_ += q != 0 && q != 255;
    all_ += static_cast<int64_t>(levels.size());
  }
  double fraction() const { return static_cast<double>(inside_) / static_cast<double>(all_); }

 private:
  int64_t inside_ = 0, all_ = 0;
};

#define HAQ_FOR_ALL_TABLES(suite)                                                \
  INSTANTIATE_TEST_SUITE_P(Tables, suite, testing::ValuesIn(SupportedKernels()), \
                           [](const auto& info) { return std::string(info.param->name); })

}  // namespace haq::kernels
