// The tiles by their number of pixels. For the sources of this folder.
#pragma once

#include "core/kernels/simd/tile.h"

namespace haq::kernels::avx2 {

inline constexpr int kMaxPixels = 6;
extern const simd::TileKernel kTiles[simd::kMaxPixels + 1];

// Levels to little-endian 16-bit values.
void WidenLevels(int64_t count, const uint8_t* from, uint8_t* to);
void FillWide(int64_t count, uint8_t level, uint8_t* to);

}  // namespace haq::kernels::avx2
