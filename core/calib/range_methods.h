// The ways to choose a range from a distribution that need more than its extremes. Ranges lie
// within [min(low, 0), max(high, 0)] unless they say so.
#pragma once

#include "core/calib/distribution.h"
#include "core/quant/params.h"

namespace haq::calib {

// What is known of how the tensor will be quantized.
struct ChoiceContext {
  quant::SchemePolicy policy = quant::SchemePolicy::kHybrid;
  quant::HybridRule rule = {};
};

// `histogram`: PyTorch's HistogramObserver on 2048 bins between the lowest and the highest value:
// the "non-linear search" of Caffe2's norm_minimization.cc, which takes steps of 1e-5 of the mass
// off either end for as long as the approximate squared error falls. PyTorch makes its bins batch
// by batch, which depends on the order of the batches; these are made from the whole distribution.
quant::Range HistogramRange(const Distribution& distribution);

// `percentile`: what is left when (1 - share) / 2 of the values are cut off at either end; the
// share that ONNX Runtime's calibration has by default.
inline constexpr double kPercentileShare = 0.99999;
quant::Range PercentileRange(const Distribution& distribution, double share = kPercentileShare);

// `kl`: the entropy search of TensorRT ("8-bit inference with TensorRT", 2017) and ONNX Runtime.
// The range is [-t, t], or the half of it where the values are, cut to the values; t is the edge of
// one of 2048 bins for which the distribution clipped at t diverges least from itself in 256
// levels. Exact zeros are left out, since every candidate represents them.
quant::Range EntropyRange(const Distribution& distribution);

// `redistribution`: the range whose scale and rounded zero point give the least expected squared
// error: that of the mass outside, moved onto the end levels, and that of rounding the mass inside.
// Both ends are searched. For hybrid, symmetric wins where it loses less than the rule's tolerance
// in expected error. The range that comes back gives just that scale and zero point in
// quant::ChooseTensorParams with the same context, and may end up to a step beyond the values.
quant::Range RedistributionRange(const Distribution& distribution,
                                 const ChoiceContext& context = {});

}  // namespace haq::calib
