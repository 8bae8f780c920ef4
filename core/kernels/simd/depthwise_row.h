// Plain struct between the portable driver and the kernels, as in simd/tile.h.
#pragma once

#include "core/kernels/simd/tile.h"

namespace haq::kernels::simd {

// One row of outputs. Row ky of the window is row[ky] + x * row_step[ky] for input column x.
struct DepthwiseRow {
  const uint8_t* const* row;
  const int64_t* row_step;  // bytes between columns; 0 for a row outside of the image
  const uint8_t* zero;      // a pixel of zero points
  const uint8_t** taps;     // scratch, one for each slot of the weights
  int32_t channels, in_w, out_w, kernel_h, kernel_w, stride_w, dilation_w, pad_left;
  bool by_columns;  // slot 4 kx + ky holds tap (ky, kx); otherwise slot ky * kernel_w + kx
  int32_t slots;    // taps, rounded up to what the instruction set adds at once
  int64_t blocks;
  const void* packed;
  const TensorStore* store;
  uint8_t* out;
  int64_t out_stride;
  const uint8_t* residual;  // nullptr: none
};

}  // namespace haq::kernels::simd
