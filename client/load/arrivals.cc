#include "client/load/arrivals.h"

namespace haq::client::load {

Arrivals::Arrivals(Spacing spacing, double rate, uint64_t seed)
    : spacing_(spacing), rate_(rate), random_(seed), pause_(rate) {}

double Arrivals::Next() {
  // Products, not sums: a million sums would have drifted.
  if (spacing_ == Spacing::kConstant) return static_cast<double>(count_++) / rate_;
  return last_ += pause_(random_);
}

}  // namespace haq::client::load
