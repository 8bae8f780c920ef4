// Plain structs between the driver of simd/winograd.h and the kernels of one instruction set.
#pragma once

#include <cstdint>

#include "core/kernels/simd/tile.h"

namespace haq::kernels::simd {

inline constexpr int kWinogradPositions = 16;  // of a 4 x 4 patch

// One patch of 4 x 4 pixels to its 16 positions, B^T d B: int16, `channels` (a multiple of 16) of
// each pixel and of each position. Pixel (i, j) lies at from + i * row_stride + j * channels,
// position p at to + p * position_stride.
struct WinogradPatch {
  const int16_t* from;
  int64_t row_stride, channels;
  int16_t* to;
  int64_t position_stride;
};

// For one position, the sums of `tiles` patches times a block of channels: patch t has its values
// at values + t * stride, 2 * steps of them; sums[t][channel of the block].
struct WinogradDots {
  const int16_t* values;
  int64_t stride, steps;
  const int16_t* weights;  // [step][channel of the block][2]
  int32_t* sums;
};
using WinogradDotsKernel = void (*)(const WinogradDots&);

// A^T m A of one patch, requantized: 2 x 2 output pixels, of which `rows` x `columns` exist.
// Position p's sums lie at sums + p * position_stride.
struct WinogradStore {
  const int32_t* sums;
  int64_t position_stride;
  const ChannelBlock* channels;
  const TensorStore* store;
  uint8_t* out;
  int64_t out_row, out_stride;  // bytes between rows and pixels
  const uint8_t* residual;      // nullptr: none
  int64_t residual_row, residual_stride;
  int32_t rows, columns;
  int32_t count;  // channels of the block that exist
};

struct WinogradIsa {
  int32_t lanes;      // int32 in a vector; a block has two vectors
  int32_t max_tiles;  // of one call of dots
  void (*patch)(const WinogradPatch&);
  WinogradDotsKernel dots[kMaxPixels + 1];  // by the number of tiles
  void (*store)(const WinogradStore&);
  void (*copy)(int64_t count, const uint8_t* from, uint8_t* to);  // levels to int16
};

}  // namespace haq::kernels::simd
