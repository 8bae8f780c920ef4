// The store of every kernel of this instruction set: int32 accumulators to levels, steps (6) to (9)
// of docs/integer_arithmetic.md. For the sources of this folder.
#pragma once

#include <immintrin.h>

#include "core/kernels/simd/tile.h"

namespace haq::kernels::avx512vnni {

using simd::ChannelBlock;
using simd::TensorStore;

#define HAQ_INLINE static inline __attribute__((always_inline))
// Loops over registers: an array stays in registers only where every index is a constant.
#define HAQ_UNROLL _Pragma("GCC unroll 16")

// The constants of a tensor in registers.
struct Store {
  __m512i round, offset, q_min, residual_multiplier, residual_zero;
};
HAQ_INLINE Store LoadStore(const TensorStore& t) {
  return {_mm512_set1_epi16(t.round_multiplier), _mm512_set1_epi16(t.output_offset),
          _mm512_set1_epi8(static_cast<char>(t.q_min)), _mm512_set1_epi16(t.residual_multiplier),
          _mm512_set1_epi16(t.residual_zero)};
}

// Channels that shift to the left: clamp(acc, -2^15, 2^15) << left. The others pass: they are left
// out by the mask.
HAQ_INLINE __m512i ShiftLeft(__m512i acc, __m512i left) {
  const __mmask16 lanes = _mm512_test_epi32_mask(left, left);
  const __m512i low = _mm512_max_epi32(acc, _mm512_set1_epi32(-32768));
  return _mm512_mask_sllv_epi32(acc, lanes, _mm512_min_epi32(low, _mm512_set1_epi32(32768)), left);
}

// Two vectors of accumulators to 32 values t: shift, saturating pack, rounding Q15 multiply.
HAQ_INLINE __m512i Scale(__m512i acc0, __m512i acc1, __m512i shift0, __m512i shift1,
                         __m512i multiplier) {
  const __m512i v =
      _mm512_packs_epi32(_mm512_srav_epi32(acc0, shift0), _mm512_srav_epi32(acc1, shift1));
  return _mm512_mulhrs_epi16(v, multiplier);
}

// t plus 32 levels of a residual, widened to 16 bits.
HAQ_INLINE __m512i AddResidual(__m512i t, __m512i level, const Store& s) {
  const __m512i distance = _mm512_slli_epi16(_mm512_sub_epi16(level, s.residual_zero), 7);
  return _mm512_adds_epi16(t, _mm512_mulhrs_epi16(distance, s.residual_multiplier));
}

// The last rounding; what is left is a pack to 8 bits and the clamp.
HAQ_INLINE __m512i Round(__m512i t, const Store& s) {
  return _mm512_adds_epi16(_mm512_mulhrs_epi16(t, s.round), s.offset);
}

HAQ_INLINE __m512i Clamp(__m512i levels, __m512i q_max, const Store& s) {
  return _mm512_min_epu8(_mm512_max_epu8(levels, s.q_min), q_max);
}

}  // namespace haq::kernels::avx512vnni
