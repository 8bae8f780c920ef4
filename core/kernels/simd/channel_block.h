// Filling in the blocks of simd/tile.h. For the portable drivers.
#pragma once

#include "core/kernels/kernels.h"
#include "core/kernels/simd/tile.h"

namespace haq::kernels::simd {

// The channel of lane `lane` of vector `v`. Two vectors of accumulators hold channels 8i .. 8i+3
// and 8i+4 .. 8i+7 in their 128-bit lane i, so that packing them to 16 bits gives channels in
// order.
constexpr int64_t ChannelOf(int64_t vectors, int64_t v, int64_t lane) {
  return vectors == 1 ? lane : lane / 4 * 8 + v * 4 + lane % 4;
}

// A block of one or two vectors of `lanes`; channels from `count` on have zeros.
ChannelBlock MakeChannelBlock(int64_t lanes, int64_t vectors, const ChannelRequantize* channels,
                              int64_t count);
TensorStore MakeTensorStore(const TensorRequantize& requantize, const ResidualRequantize& residual);

}  // namespace haq::kernels::simd
