// Plain struct between the portable driver and the kernels, as in simd/tile.h.
#pragma once

#include "core/kernels/simd/tile.h"

namespace haq::kernels::simd {

inline constexpr int kLinearRows = 4;      // input rows that one pass over the weights serves
inline constexpr int kLinearOutputs = 16;  // outputs of one block

// Up to 16 outputs of up to four input rows. `channels` is a block of one vector of 16.
struct LinearCall {
  const int8_t* weight;  // of the first output; rows are `inputs` apart
  const uint8_t* in;     // likewise
  int64_t inputs, rows, count;
  const ChannelBlock* channels;
  const TensorStore* store;
  uint8_t* out;
  int64_t out_stride;
};

}  // namespace haq::kernels::simd
