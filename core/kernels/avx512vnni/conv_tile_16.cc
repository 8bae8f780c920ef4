// Tiles of up to 14 pixels times 16 channels, for outputs of few channels and for the rest of a
// multiple of 32. Four pixels share one vector of levels.
#include "core/kernels/avx512vnni/conv_tile.h"
#include "core/kernels/avx512vnni/tiles.h"

namespace haq::kernels::avx512vnni {
namespace {

// Lane i of two pixels packed: channels 4i .. 4i+3 of one, then of the other.
HAQ_INLINE __m512i ResidualPair(const TileCall& call, __mmask16 mask, int p, int q) {
  const __m128i a = _mm_maskz_loadu_epi8(mask, call.residual + p * call.residual_stride);
  const __m128i b = _mm_maskz_loadu_epi8(mask, call.residual + q * call.residual_stride);
  const __m256i pair = _mm256_set_m128i(_mm_unpackhi_epi32(a, b), _mm_unpacklo_epi32(a, b));
  return _mm512_cvtepu8_epi16(pair);
}

HAQ_INLINE void StorePixel(const TileCall& call, int p, __mmask16 mask, __m128i levels) {
  uint8_t* out = call.out + p * call.out_stride;
  if (call.count >= 16) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), levels);
  } else {
    _mm_mask_storeu_epi8(out, mask, levels);
  }
}

template <int P>
void Tile16(const TileCall& call) {
  __m512i acc[P][1];
  Accumulate<P, 1>(call, acc);

  const ChannelBlock& channels = *call.channels;
  const __m512i shift = _mm512_load_si512(channels.shift);
  const __m512i multiplier = _mm512_load_si512(channels.multiplier);
  const __m512i q_max =
      _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(channels.q_max)));
  const __mmask16 mask = static_cast<__mmask16>(call.count >= 16 ? 0xffff : (1 << call.count) - 1);
  const __m512i pixel_by_pixel =
      _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  HAQ_UNROLL for (int p = 0; p < P; p += 2) {
    const int q = p + 1 < P ? p + 1 : p;
    acc[p][0] = Scale(acc[p][0], acc[q][0], shift, shift, multiplier);
  }
  const Store store = LoadStore(*call.store);
  if (call.residual != nullptr) {
    HAQ_UNROLL for (int p = 0; p < P; p += 2) {
      const int q = p + 1 < P ? p + 1 : p;
      acc[p][0] = AddResidual(acc[p][0], ResidualPair(call, mask, p, q), store);
    }
  }
  HAQ_UNROLL for (int p = 0; p < P; p += 4) {
    const int q = p + 2 < P ? p + 2 : p;
    const __m512i packed = _mm512_packus_epi16(Round(acc[p][0], store), Round(acc[q][0], store));
    const __m512i levels = Clamp(_mm512_permutexvar_epi32(pixel_by_pixel, packed), q_max, store);
    StorePixel(call, p, mask, _mm512_castsi512_si128(levels));
    if (p + 1 < P) StorePixel(call, p + 1, mask, _mm512_extracti32x4_epi32(levels, 1));
    if (p + 2 < P) StorePixel(call, p + 2, mask, _mm512_extracti32x4_epi32(levels, 2));
    if (p + 3 < P) StorePixel(call, p + 3, mask, _mm512_extracti32x4_epi32(levels, 3));
  }
}

}  // namespace

const simd::TileKernel kTiles16[simd::kMaxPixels + 1] = {
    nullptr,     &Tile16<1>,  &Tile16<2>,  &Tile16<3>, &Tile16<4>,  &Tile16<5>,
    &Tile16<6>,  &Tile16<7>,  &Tile16<8>,  &Tile16<9>, &Tile16<10>, &Tile16<11>,
    &Tile16<12>, &Tile16<13>, &Tile16<14>, nullptr,    nullptr};

}  // namespace haq::kernels::avx512vnni
