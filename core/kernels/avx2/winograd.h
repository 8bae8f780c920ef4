// The kernels of simd/winograd.h. For the sources of this folder.
#pragma once

#include "core/kernels/simd/winograd_tile.h"

namespace haq::kernels::avx2 {

void TransformPatch(const simd::WinogradPatch& patch);
extern const simd::WinogradDotsKernel kWinogradDots[simd::kMaxPixels + 1];
void StoreWinograd(const simd::WinogradStore& call);

}  // namespace haq::kernels::avx2
