// When the requests of an open loop start.
#pragma once

#include <cstdint>
#include <random>

namespace haq::client::load {

enum class Spacing {
  kConstant,  // every 1 / rate seconds
  kPoisson,   // independently of each other, as many clients make them; the mean is 1 / rate
};

class Arrivals {
 public:
  // `rate`: requests a second, above 0.
  Arrivals(Spacing spacing, double rate, uint64_t seed);

  // Seconds from the start of the run, never falling.
  double Next();

 private:
  const Spacing spacing_;
  const double rate_;
  std::mt19937_64 random_;
  std::exponential_distribution<double> pause_;
  int64_t count_ = 0;
  double last_ = 0;
};

}  // namespace haq::client::load
