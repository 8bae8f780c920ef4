// The tiles by their number of pixels. For the sources of this folder.
#pragma once

#include "core/kernels/simd/tile.h"

namespace haq::kernels::avx512vnni {

inline constexpr int kMaxPixels = 14;
extern const simd::TileKernel kTiles32[simd::kMaxPixels + 1];
extern const simd::TileKernel kTiles16[simd::kMaxPixels + 1];

}  // namespace haq::kernels::avx512vnni
