// The store of every kernel of this instruction set: int32 accumulators to levels, steps (6) to (9)
// of docs/integer_arithmetic.md. For the sources of this folder.
#pragma once

#include <immintrin.h>

#include "core/kernels/simd/tile.h"

namespace haq::kernels::avx2 {

using simd::ChannelBlock;
using simd::TensorStore;

#define HAQ_INLINE static inline __attribute__((always_inline))
// Loops over registers: an array stays in registers only where every index is a constant.
#define HAQ_UNROLL _Pragma("GCC unroll 16")

HAQ_INLINE __m256i Load(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
// Sixteen levels, or the `count` that exist and zeros.
HAQ_INLINE __m128i LoadLevels(const uint8_t* p, int64_t count) {
  if (count >= 16) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  alignas(16) uint8_t levels[16] = {};
  __builtin_memcpy(levels, p, static_cast<size_t>(count));
  return _mm_load_si128(reinterpret_cast<const __m128i*>(levels));
}
HAQ_INLINE void StoreLevels(__m128i levels, int64_t count, uint8_t* p) {
  if (count >= 16) return _mm_storeu_si128(reinterpret_cast<__m128i*>(p), levels);
  alignas(16) uint8_t stored[16];
  _mm_store_si128(reinterpret_cast<__m128i*>(stored), levels);
  __builtin_memcpy(p, stored, static_cast<size_t>(count));
}

// Channels that shift to the left: clamp(acc, -2^15, 2^15) << left. The others pass.
HAQ_INLINE __m256i ShiftLeft(__m256i acc, __m256i left) {
  const __m256i low = _mm256_max_epi32(acc, _mm256_set1_epi32(-32768));
  const __m256i shifted = _mm256_sllv_epi32(_mm256_min_epi32(low, _mm256_set1_epi32(32768)), left);
  return _mm256_blendv_epi8(acc, shifted, _mm256_cmpgt_epi32(left, _mm256_setzero_si256()));
}

// Two vectors of accumulators to 16 values t: shift, saturating pack, rounding Q15 multiply.
HAQ_INLINE __m256i Scale(__m256i acc0, __m256i acc1, __m256i shift0, __m256i shift1,
                         __m256i multiplier) {
  const __m256i v =
      _mm256_packs_epi32(_mm256_srav_epi32(acc0, shift0), _mm256_srav_epi32(acc1, shift1));
  return _mm256_mulhrs_epi16(v, multiplier);
}

// t plus 16 levels of a residual.
HAQ_INLINE __m256i AddResidual(__m256i t, __m128i levels, const TensorStore& s) {
  const __m256i distance = _mm256_slli_epi16(
      _mm256_sub_epi16(_mm256_cvtepu8_epi16(levels), _mm256_set1_epi16(s.residual_zero)), 7);
  return _mm256_adds_epi16(t,
                           _mm256_mulhrs_epi16(distance, _mm256_set1_epi16(s.residual_multiplier)));
}

// The last rounding; what is left is a pack to 8 bits and the clamp.
HAQ_INLINE __m256i Round(__m256i t, const TensorStore& s) {
  return _mm256_adds_epi16(_mm256_mulhrs_epi16(t, _mm256_set1_epi16(s.round_multiplier)),
                           _mm256_set1_epi16(s.output_offset));
}

HAQ_INLINE __m128i Clamp(__m128i levels, __m128i q_max, const TensorStore& s) {
  return _mm_min_epu8(_mm_max_epu8(levels, _mm_set1_epi8(static_cast<char>(s.q_min))), q_max);
}

}  // namespace haq::kernels::avx2
