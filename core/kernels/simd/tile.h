// Plain structs between the portable drivers of this folder and the kernels of one instruction set.
// The kernels' sources are compiled with flags that other processors lack, so nothing here needs
// the standard library.
#pragma once

#include <cstdint>

namespace haq::kernels::simd {

inline constexpr int kMaxBlock = 32;  // output channels of one tile
inline constexpr int kMaxPixels = 16;

// Requantization of one block of channels. `bias` and `shift` are in the order of the accumulators'
// vectors, `multiplier` in that of the 16-bit values that they are packed to, `q_max` in that of
// the channels.
struct alignas(64) ChannelBlock {
  int32_t bias[kMaxBlock];
  int32_t shift[kMaxBlock];  // right; 0 for channels that shift to the left
  int32_t left[kMaxBlock];   // to the left; 0 for channels that shift to the right
  int16_t multiplier[kMaxBlock];
  uint8_t q_max[kMaxBlock];
  int32_t any_left;
};

// What a whole tensor shares.
struct TensorStore {
  int16_t round_multiplier;  // 2^(15 - fraction_bits): the last rounding as a Q15 multiply
  int16_t output_offset;
  int16_t residual_multiplier, residual_zero;
  uint8_t q_min;
};

// A tile of pixels times a block of channels. Pixels lie `pixel_stride` apart, the first half
// (rounded up) from `first` on, the rest from `second` on. Each pixel's sum goes over `segments`
// stretches of `steps` steps of neighbouring input values, segment i at offset segment[i].
struct TileCall {
  const uint8_t *first, *second;
  int64_t pixel_stride;
  const int64_t* segment;
  int64_t segments, steps;
  const void* weights;  // in the order of the steps
  const ChannelBlock* channels;
  const TensorStore* store;
  uint8_t* out;
  int64_t out_stride;       // bytes between pixels
  const uint8_t* residual;  // nullptr: none
  int64_t residual_stride;
  int32_t count;  // channels of the block that exist
};
using TileKernel = void (*)(const TileCall&);

// What the driver must know of an instruction set.
struct TileIsa {
  int32_t lanes;        // int32 accumulators in one vector; a block has two vectors
  int32_t max_pixels;   // of a tile
  int32_t step;         // input values of one step, neighbours in a lane's weights
  int32_t value_bytes;  // of an input value and of a weight: 1, or 2 where both are widened
  bool narrow;          // there are tiles of one vector
  // [1][p] for two vectors, [0][p] for one vector and p pixels.
  TileKernel tile[2][kMaxPixels + 1];
  // Copies levels to values; fills with one level.
  void (*copy)(int64_t count, const uint8_t* from, uint8_t* to);
  void (*fill)(int64_t count, uint8_t level, uint8_t* to);
};

}  // namespace haq::kernels::simd
