#include "core/ir/functions.h"

#include <algorithm>
#include <cmath>

namespace haq::ir {

double Apply(const Clamp& op, double x) { return std::clamp<double>(x, op.low, op.high); }
double Apply(const LeakyRelu& op, double x) { return x < 0 ? x * op.slope : x; }
double Apply(const Sigmoid&, double x) { return 1 / (1 + std::exp(-x)); }
double Apply(const HardSigmoid&, double x) { return std::clamp(x / 6 + 0.5, 0.0, 1.0); }
double Apply(const Silu&, double x) { return x / (1 + std::exp(-x)); }
double Apply(const HardSwish&, double x) { return x * std::clamp(x + 3, 0.0, 6.0) / 6; }
double Apply(const Tanh&, double x) { return std::tanh(x); }

}  // namespace haq::ir
