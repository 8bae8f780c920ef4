// The learning itself, of the part of a problem that one thread works on. Private to core/adaround.
#pragma once

#include "core/adaround/adaround.h"
#include "core/adaround/equations.h"

namespace haq::adaround {

struct PartSolution {
  std::vector<int8_t> weights;  // [outputs][K]
  std::vector<float> bias;      // [outputs]
  int64_t learned_outputs = 0;
  double nearest_error = 0, error = 0;  // as in Solution
};

// kCancelled; throws what LibTorch throws.
Status LearnPart(const Problem& problem, const Options& options, const Part& part,
                 const CancellationToken& cancellation, PartSolution& solution);

}  // namespace haq::adaround
