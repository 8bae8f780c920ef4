// Tiles of up to 6 pixels times 16 channels. Levels and weights are widened to 16 bits: the 8-bit
// multiply of this instruction set saturates its pairs of products, and splitting weights so that
// they cannot costs as many multiplies. A pair of 16-bit products is exact in int32.
#include "core/kernels/avx2/store.h"
#include "core/kernels/avx2/tiles.h"

namespace haq::kernels::avx2 {
namespace {

using simd::TileCall;

HAQ_INLINE __m256i BroadcastPair(const uint8_t* p) {
  int32_t x;
  __builtin_memcpy(&x, p, 4);
  return _mm256_set1_epi32(x);
}

template <int P>
HAQ_INLINE void Accumulate(const TileCall& call, __m256i (&acc)[P][2]) {
  constexpr int kHalf = (P + 1) / 2;
  const auto* w = static_cast<const uint8_t*>(call.weights);
  const int64_t stride = call.pixel_stride;
  HAQ_UNROLL for (int p = 0; p < P; ++p) {
    acc[p][0] = Load(call.channels->bias), acc[p][1] = Load(call.channels->bias + 8);
  }
  for (int64_t i = 0; i < call.segments; ++i) {
    const uint8_t *a = call.first + call.segment[i], *b = call.second + call.segment[i];
    for (int64_t k = 0; k < call.steps; ++k, w += 64, a += 4, b += 4) {
      const __m256i w0 = Load(w), w1 = Load(w + 32);
      HAQ_UNROLL for (int p = 0; p < P; ++p) {
        const __m256i x = BroadcastPair(p < kHalf ? a + p * stride : b + (p - kHalf) * stride);
        acc[p][0] = _mm256_add_epi32(acc[p][0], _mm256_madd_epi16(x, w0));
        acc[p][1] = _mm256_add_epi32(acc[p][1], _mm256_madd_epi16(x, w1));
      }
    }
  }
}

template <int P>
void Tile(const TileCall& call) {
  __m256i acc[P][2];
  Accumulate<P>(call, acc);

  const ChannelBlock& channels = *call.channels;
  if (channels.any_left) {
    const __m256i left0 = Load(channels.left), left1 = Load(channels.left + 8);
    HAQ_UNROLL for (int p = 0; p < P; ++p) {
      acc[p][0] = ShiftLeft(acc[p][0], left0), acc[p][1] = ShiftLeft(acc[p][1], left1);
    }
  }
  const __m256i shift0 = Load(channels.shift), shift1 = Load(channels.shift + 8);
  const __m256i multiplier = Load(channels.multiplier);
  HAQ_UNROLL for (int p = 0; p < P; ++p) {
    acc[p][0] = Scale(acc[p][0], acc[p][1], shift0, shift1, multiplier);
  }
  const TensorStore& store = *call.store;
  if (call.residual != nullptr) {
    HAQ_UNROLL for (int p = 0; p < P; ++p) {
      acc[p][0] = AddResidual(
          acc[p][0], LoadLevels(call.residual + p * call.residual_stride, call.count), store);
    }
  }
  const __m128i q_max = _mm_load_si128(reinterpret_cast<const __m128i*>(channels.q_max));
  HAQ_UNROLL for (int p = 0; p < P; p += 2) {
    const int q = p + 1 < P ? p + 1 : p;
    const __m256i packed = _mm256_packus_epi16(Round(acc[p][0], store), Round(acc[q][0], store));
    const __m256i levels = _mm256_permute4x64_epi64(packed, 0xd8);  // pixel by pixel
    uint8_t* out = call.out + p * call.out_stride;
    StoreLevels(Clamp(_mm256_castsi256_si128(levels), q_max, store), call.count, out);
    if (p + 1 < P) {
      StoreLevels(Clamp(_mm256_extracti128_si256(levels, 1), q_max, store), call.count,
                  out + call.out_stride);
    }
  }
}

}  // namespace

const simd::TileKernel kTiles[simd::kMaxPixels + 1] = {nullptr,  &Tile<1>, &Tile<2>, &Tile<3>,
                                                       &Tile<4>, &Tile<5>, &Tile<6>};

void WidenLevels(int64_t count, const uint8_t* from, uint8_t* to) {
  int64_t i = 0;
  for (; i + 16 <= count; i += 16, to += 32) {
    const __m128i levels = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_cvtepu8_epi16(levels));
  }
  for (; i < count; ++i, to += 2) to[0] = from[i], to[1] = 0;
}

void FillWide(int64_t count, uint8_t level, uint8_t* to) {
  const __m256i levels = _mm256_set1_epi16(level);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16, to += 32) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), levels);
  }
  for (; i < count; ++i, to += 2) to[0] = level, to[1] = 0;
}

}  // namespace haq::kernels::avx2
