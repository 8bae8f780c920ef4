// What calibration saw of the quantized tensors, for the report: how their values are distributed
// and which range each method would choose. Private to core/pipeline.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/calib/calibrator.h"
#include "core/lower/lower.h"

namespace haq::pipeline {

// How many tensors of a report have a histogram: about a kilobyte each.
inline constexpr int64_t kMaxHistograms = 1000;
inline constexpr int kHistogramBins = 128;

struct TensorFigures {
  double low = 0, high = 0;     // of the values seen
  std::vector<int64_t> counts;  // in equal bins over [low, high], exact zeros left out; empty for
                                // tensors beyond kMaxHistograms, one bin for a constant
  int64_t zeros = 0;            // exact ones
  std::vector<quant::Range> ranges;  // in the order of quant::MethodNames()
};

// By decision. `context` is what the ranges in use were chosen with.
Result<std::vector<TensorFigures>> MakeTensorFigures(const calib::Calibrator& calibrator,
                                                     const lower::Lowered& lowered,
                                                     const calib::ChoiceContext& context);

}  // namespace haq::pipeline
