// For the sources of this folder.
#pragma once

#include <cstdint>

#include "core/kernels/simd/depthwise_row.h"

namespace haq::kernels::avx512vnni {

// Requantization of 64 channels: `bias`, `shift` and `left` in the order of the accumulators,
// `multiplier` in that of the packed values, `q_max` in that of the channels.
struct alignas(64) DepthwiseHeader {
  int32_t bias[64], shift[64], left[64];
  int16_t multiplier[64];
  uint8_t q_max[64];
  int32_t any_left;
};

void DepthwiseRowOf(const simd::DepthwiseRow& row);

}  // namespace haq::kernels::avx512vnni
