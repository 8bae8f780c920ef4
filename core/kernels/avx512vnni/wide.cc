// The requantization of wide layers: eight channels a time in 64-bit lanes.
#include "core/kernels/avx512vnni/wide.h"

#include <immintrin.h>

#include "core/kernels/avx512vnni/store.h"

namespace haq::kernels::avx512vnni {
namespace {

// Eight records of fixedpoint::WideChannel, 16 bytes each: the bias, and the rest of the record.
struct Channels {
  __m512i bias, multiplier, pre_shift, shift, q_max;
};
HAQ_INLINE Channels LoadChannels(const long long* from, int64_t count) {
  const __mmask8 low = static_cast<__mmask8>(count >= 4 ? 0xff : (1 << 2 * count) - 1);
  const __mmask8 high = static_cast<__mmask8>(count > 4 ? (1 << 2 * (count - 4)) - 1 : 0);
  const __m512i a = _mm512_maskz_loadu_epi64(low, from);
  const __m512i b = _mm512_maskz_loadu_epi64(high, from + 8);
  const __m512i even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
  const __m512i odd = _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15);
  const __m512i rest = _mm512_permutex2var_epi64(a, odd, b);
  const __m512i byte = _mm512_set1_epi64(255);
  // The multiplier is the lower half, which is what _mm512_mul_epi32 reads.
  return {_mm512_permutex2var_epi64(a, even, b), rest,
          _mm512_and_si512(_mm512_srli_epi64(rest, 32), byte),
          _mm512_and_si512(_mm512_srli_epi64(rest, 40), byte), _mm512_srli_epi64(rest, 48)};
}

HAQ_INLINE __m512i Widen(const int32_t* from, __mmask8 mask) {
  return _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(mask, from));
}

HAQ_INLINE __m512i Clamp64(__m512i x, __m512i low, __m512i high) {
  return _mm512_min_epi64(_mm512_max_epi64(x, low), high);
}

HAQ_INLINE __m512i Term(__m512i acc, const Channels& c) {
  const __m512i v = Clamp64(_mm512_srav_epi64(_mm512_add_epi64(acc, c.bias), c.pre_shift),
                            _mm512_set1_epi64(-2147483648LL), _mm512_set1_epi64(2147483647LL));
  const __m512i one = _mm512_set1_epi64(1);
  const __m512i half = _mm512_sllv_epi64(one, _mm512_sub_epi64(c.shift, one));
  return _mm512_srav_epi64(_mm512_add_epi64(_mm512_mul_epi32(v, c.multiplier), half), c.shift);
}

HAQ_INLINE __m512i ResidualTerm(const wide::Row& row, int64_t at, __mmask8 mask) {
  const __m128i levels = row.residual_is_wide
                             ? _mm_maskz_loadu_epi16(mask, row.residual + 2 * at)
                             : _mm_cvtepu8_epi16(_mm_maskz_loadu_epi8(mask, row.residual + at));
  const __m512i distance =
      _mm512_sub_epi64(_mm512_cvtepu16_epi64(levels), _mm512_set1_epi64(row.residual_zero));
  const __m512i product = _mm512_mullo_epi64(distance, _mm512_set1_epi64(row.residual_multiplier));
  return _mm512_srai_epi64(_mm512_add_epi64(product, _mm512_set1_epi64(1 << 15)), 16);
}

}  // namespace

void WideRow(const wide::Row& row) {
  const auto* channels = reinterpret_cast<const long long*>(row.channels);
  for (int64_t i = 0; i < row.count; i += 8) {
    const int64_t count = row.count - i < 8 ? row.count - i : 8;
    const auto mask = static_cast<__mmask8>((1 << count) - 1);
    const Channels c = LoadChannels(channels + 2 * i, count);
    __m512i acc = Widen(row.low + i, mask);
    if (row.high != nullptr) {
      acc = _mm512_add_epi64(acc, _mm512_slli_epi64(Widen(row.high + i, mask), 8));
    }
    __m512i t = Term(acc, c);
    if (row.residual != nullptr) t = _mm512_add_epi64(t, ResidualTerm(row, i, mask));
    const __m512i u = _mm512_srai_epi64(_mm512_add_epi64(t, _mm512_set1_epi64(1 << 11)), 12);
    const __m512i q = Clamp64(_mm512_add_epi64(u, _mm512_set1_epi64(row.zero_point)),
                              _mm512_set1_epi64(row.q_min), c.q_max);
    if (row.out_is_wide) {
      _mm512_mask_cvtepi64_storeu_epi16(row.out + 2 * i, mask, q);
    } else {
      _mm512_mask_cvtepi64_storeu_epi8(row.out + i, mask, q);
    }
  }
}

}  // namespace haq::kernels::avx512vnni
