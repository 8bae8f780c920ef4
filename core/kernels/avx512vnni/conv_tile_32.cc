// Tiles of up to 14 pixels times 32 channels. The accumulators' two vectors hold channels 8i ..
// 8i+3 and 8i+4 .. 8i+7 in their 128-bit lane i, so that packing them gives channels in order.
#include "core/kernels/avx512vnni/conv_tile.h"
#include "core/kernels/avx512vnni/tiles.h"

namespace haq::kernels::avx512vnni {
namespace {

template <int P>
void Tile32(const TileCall& call) {
  __m512i acc[P][2];
  Accumulate<P, 2>(call, acc);

  const ChannelBlock& channels = *call.channels;
  const __m512i shift0 = _mm512_load_si512(channels.shift);
  const __m512i shift1 = _mm512_load_si512(channels.shift + 16);
  const __m512i multiplier = _mm512_load_si512(channels.multiplier);
  const __m512i q_max =
      _mm512_broadcast_i64x4(_mm256_load_si256(reinterpret_cast<const __m256i*>(channels.q_max)));
  const __mmask32 mask = call.count >= 32 ? ~__mmask32{0} : (__mmask32{1} << call.count) - 1;
  const __m512i pixel_by_pixel = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
  HAQ_UNROLL for (int p = 0; p < P; ++p) {
    acc[p][0] = Scale(acc[p][0], acc[p][1], shift0, shift1, multiplier);
  }
  const Store store = LoadStore(*call.store);
  if (call.residual != nullptr) {
    HAQ_UNROLL for (int p = 0; p < P; ++p) {
      const __m256i levels =
          _mm256_maskz_loadu_epi8(mask, call.residual + p * call.residual_stride);
      acc[p][0] = AddResidual(acc[p][0], _mm512_cvtepu8_epi16(levels), store);
    }
  }
  HAQ_UNROLL for (int p = 0; p < P; p += 2) {
    const int q = p + 1 < P ? p + 1 : p;
    const __m512i packed = _mm512_packus_epi16(Round(acc[p][0], store), Round(acc[q][0], store));
    const __m512i levels = Clamp(_mm512_permutexvar_epi64(pixel_by_pixel, packed), q_max, store);
    uint8_t* out = call.out + p * call.out_stride;
    if (call.count >= 32) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_castsi512_si256(levels));
      if (p + 1 < P) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + call.out_stride),
                            _mm512_extracti64x4_epi64(levels, 1));
      }
    } else {
      _mm256_mask_storeu_epi8(out, mask, _mm512_castsi512_si256(levels));
      if (p + 1 < P) {
        _mm256_mask_storeu_epi8(out + call.out_stride, mask, _mm512_extracti64x4_epi64(levels, 1));
      }
    }
  }
}

}  // namespace

const simd::TileKernel kTiles32[simd::kMaxPixels + 1] = {
    nullptr,     &Tile32<1>,  &Tile32<2>,  &Tile32<3>, &Tile32<4>,  &Tile32<5>,
    &Tile32<6>,  &Tile32<7>,  &Tile32<8>,  &Tile32<9>, &Tile32<10>, &Tile32<11>,
    &Tile32<12>, &Tile32<13>, &Tile32<14>, nullptr,    nullptr};

}  // namespace haq::kernels::avx512vnni
