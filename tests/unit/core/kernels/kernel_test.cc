#include "tests/unit/core/kernels/kernel_test.h"

#include <algorithm>
#include <cmath>

#include "tests/support/seed.h"

namespace haq::kernels {

KernelTest::KernelTest() : random_(test::Seed()) {}

uint8_t KernelTest::ZeroPoint() {
  constexpr uint8_t kUsual[] = {0, 128, 255};
  return OneIn(4) ? static_cast<uint8_t>(Int(0, 255)) : kUsual[Int(0, 2)];
}

std::unique_ptr<test::GuardedBuffer> KernelTest::Levels(int64_t count) {
  auto buffer = std::make_unique<test::GuardedBuffer>(static_cast<size_t>(count));
  const int kind = Int(1, 12);
  for (uint8_t& level : buffer->bytes()) {
    level = kind == 1 ? 255 : kind == 2 ? 0 : static_cast<uint8_t>(Int(0, 255));
  }
  return buffer;
}

std::unique_ptr<test::GuardedBuffer> KernelTest::Weights(int64_t channels, int64_t depth) {
  auto buffer = std::make_unique<test::GuardedBuffer>(static_cast<size_t>(channels * depth));
  for (int64_t c = 0; c < channels; ++c) {
    const int kind = Int(1, 10);
    for (int64_t i = c * depth; i < (c + 1) * depth; ++i) {
      const int w = kind == 1 ? 127 : kind == 2 ? -127 : Int(-127, 127);
      buffer->data()[i] = static_cast<uint8_t>(w);
    }
  }
  return buffer;
}

TensorRequantize KernelTest::RandomTensor() {
  TensorRequantize tensor;
  tensor.fraction_bits = static_cast<uint8_t>(Int(6, 7));
  tensor.output_offset = tensor.fraction_bits == 7 ? 128 : ZeroPoint();
  if (OneIn(4)) tensor.q_min = static_cast<uint8_t>(Int(0, 255));
  return tensor;
}

ChannelRequantize KernelTest::RandomChannel(double magnitude, const TensorRequantize& tensor) {
  ChannelRequantize r;
  r.multiplier = static_cast<int16_t>(OneIn(8) ? 1 << 14 : OneIn(8) ? 32767 : Int(1 << 14, 32767));
  // magnitude * multiplier * 2^(-15 - shift - fraction_bits) is about 100 steps.
  const double steps = magnitude * r.multiplier / std::exp2(15 + tensor.fraction_bits);
  const int shift = static_cast<int>(std::lround(std::log2(std::max(steps, 1e-3) / 100)));
  r.shift = static_cast<int8_t>(std::clamp(OneIn(6) ? Int(-15, 31) : shift, -15, 31));
  const int reach = static_cast<int>(std::min(magnitude, 1e8));
  r.bias = OneIn(4) ? 0 : Int(-reach, reach);
  if (OneIn(4)) r.q_max = static_cast<uint8_t>(Int(tensor.q_min, 255));
  return r;
}

std::vector<ChannelRequantize> KernelTest::RandomChannels(int64_t count, double magnitude,
                                                          const TensorRequantize& tensor) {
  std::vector<ChannelRequantize> channels;
  for (int64_t i = 0; i < count; ++i) channels.push_back(RandomChannel(magnitude, tensor));
  return channels;
}

std::unique_ptr<test::GuardedBuffer> Scratch(size_t bytes) {
  auto buffer = std::make_unique<test::GuardedBuffer>((bytes + 63) / 64 * 64);
  std::fill(buffer->bytes().begin(), buffer->bytes().end(), uint8_t{0xa5});
  return buffer;
}

}  // namespace haq::kernels
