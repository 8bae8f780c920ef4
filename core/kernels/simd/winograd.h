// 3 x 3 convolutions of stride 1 with 16 multiplications for 4 outputs instead of 36: Winograd's
// F(2 x 2, 3 x 3) (Lavin and Gray, 2015) in integers, and exact.
//
//   4 y = A^T [ (B^T d B) . (2G g 2G^T) ] A
//
// B and A have entries 0 and +-1, 2G has entries 0, +-1 and 2, so everything is an integer: the
// patch's values are at most 4 * 255, the weights' at most 9 * 128, both in int16. Sums may wrap
// around 2^32, because the last one, 4 y, does not: |y| <= 255 * 128 * 9 * in_c, which
// kMaxWinogradChannels keeps below 2^29.
//
// It pays where products of 16 bits are the fastest that an instruction set has.
#pragma once

#include "core/kernels/kernels.h"
#include "core/kernels/simd/winograd_tile.h"

namespace haq::kernels::simd {

inline constexpr int32_t kMaxWinogradChannels = (1 << 29) / (255 * 128 * 9);

// Whether the functions below compute this shape, and faster than simd/conv.h does.
bool IsWinograd(const ConvShape& shape);

size_t WinogradPackedBytes(const WinogradIsa& isa, const ConvShape& shape);
void WinogradPack(const WinogradIsa& isa, const ConvShape& shape, const int8_t* weight,
                  const ChannelRequantize* channels, void* packed);
size_t WinogradWorkspaceBytes(const WinogradIsa& isa, const ConvShape& shape);
void WinogradRun(const WinogradIsa& isa, const ConvShape& shape, const TensorRequantize& requantize,
                 const Residual& residual, const void* packed, const uint8_t* in, uint8_t* out,
                 void* workspace, Part part);

}  // namespace haq::kernels::simd
