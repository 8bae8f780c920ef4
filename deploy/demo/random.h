// Random numbers that are the same on every machine, which those of <random>'s distributions are
// not.
#pragma once

#include <cstdint>

namespace haq::demo {

// PCG-XSH-RR 64/32 (O'Neill 2014). One stream per seed.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(Mix(seed)) { Next(); }

  uint32_t Next() {
    const uint64_t old = state_;
    state_ = old * 6364136223846793005u + 1442695040888963407u;
    const auto shifted = static_cast<uint32_t>(((old >> 18) ^ old) >> 27);
    const auto turn = static_cast<uint32_t>(old >> 59);
    return (shifted >> turn) | (shifted << ((32 - turn) & 31));
  }
  // 0 .. bound - 1
  int Below(int bound) {
    return static_cast<int>(uint64_t{Next()} * static_cast<uint64_t>(bound) >> 32);
  }
  double Between(double low, double high) { return low + (high - low) * (Next() * 0x1p-32); }
  bool Chance(double probability) { return Next() * 0x1p-32 < probability; }
  // Near normal, mean 0, variance 1: the sum of four uniform numbers.
  double Bell() {
    double sum = 0;
    for (int i = 0; i < 4; ++i) sum += Next() * 0x1p-32 - 0.5;
    return sum * 1.7320508075688772;
  }

  // SplitMix64's finalizer: neighbouring seeds give unrelated numbers.
  static uint64_t Mix(uint64_t value) {
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
  }

 private:
  uint64_t state_;
};

}  // namespace haq::demo
