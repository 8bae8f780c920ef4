// Operators that are functions of one number, in double precision.
#pragma once

#include "core/ir/graph.h"

namespace haq::ir {

double Apply(const Clamp& op, double x);  // without channel_high
double Apply(const LeakyRelu& op, double x);
double Apply(const Sigmoid& op, double x);
double Apply(const HardSigmoid& op, double x);
double Apply(const Silu& op, double x);
double Apply(const HardSwish& op, double x);
double Apply(const Tanh& op, double x);

}  // namespace haq::ir
