// For the sources of this folder.
#pragma once

#include "core/kernels/simd/depthwise_row.h"

namespace haq::kernels::avx2 {

// Blocks of 16 channels: a ChannelBlock of two vectors of 8, then pairs of taps as
// [slot / 2][vector][lane][slot % 2] of int16 in the same order.
void DepthwiseRowOf(const simd::DepthwiseRow& row);

}  // namespace haq::kernels::avx2
