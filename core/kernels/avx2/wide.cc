// The requantization of wide layers: four channels at a time in 64-bit lanes.
#include "core/kernels/avx2/wide.h"

#include <immintrin.h>

#include "core/kernels/avx2/store.h"

namespace haq::kernels::avx2 {
namespace {

HAQ_INLINE __m256i Load64(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

// Four records of fixedpoint::WideChannel, 16 bytes each: the bias, and the rest of the record.
struct Channels {
  __m256i bias, multiplier, pre_shift, shift, q_max;
};
HAQ_INLINE Channels LoadChannels(const long long* from) {
  const __m256i a = Load64(from), b = Load64(from + 4);
  const __m256i bias = _mm256_permute4x64_epi64(_mm256_unpacklo_epi64(a, b), 0xd8);
  const __m256i rest = _mm256_permute4x64_epi64(_mm256_unpackhi_epi64(a, b), 0xd8);
  const __m256i byte = _mm256_set1_epi64x(255);
  // The multiplier is the lower half, which is what _mm256_mul_epi32 reads.
  return {bias, rest, _mm256_and_si256(_mm256_srli_epi64(rest, 32), byte),
          _mm256_and_si256(_mm256_srli_epi64(rest, 40), byte), _mm256_srli_epi64(rest, 48)};
}

// x >> n, arithmetically: there is no such instruction.
HAQ_INLINE __m256i ShiftRight(__m256i x, __m256i n) {
  const __m256i sign = _mm256_cmpgt_epi64(_mm256_setzero_si256(), x);
  return _mm256_xor_si256(_mm256_srlv_epi64(_mm256_xor_si256(x, sign), n), sign);
}

HAQ_INLINE __m256i Clamp64(__m256i x, __m256i low, __m256i high) {
  const __m256i above = _mm256_blendv_epi8(x, low, _mm256_cmpgt_epi64(low, x));
  return _mm256_blendv_epi8(above, high, _mm256_cmpgt_epi64(above, high));
}

HAQ_INLINE __m256i Widen(const int32_t* from) {
  return _mm256_cvtepi32_epi64(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

HAQ_INLINE __m256i Term(__m256i acc, const Channels& c) {
  const __m256i v = Clamp64(ShiftRight(_mm256_add_epi64(acc, c.bias), c.pre_shift),
                            _mm256_set1_epi64x(-2147483648LL), _mm256_set1_epi64x(2147483647LL));
  const __m256i one = _mm256_set1_epi64x(1);
  const __m256i half = _mm256_sllv_epi64(one, _mm256_sub_epi64(c.shift, one));
  return ShiftRight(_mm256_add_epi64(_mm256_mul_epi32(v, c.multiplier), half), c.shift);
}

HAQ_INLINE __m256i ResidualTerm(const wide::Row& row, int64_t at) {
  __m256i level;
  if (row.residual_is_wide) {
    level = _mm256_cvtepu16_epi64(
        _mm_loadl_epi64(reinterpret_cast<const __m128i*>(row.residual + 2 * at)));
  } else {
    int32_t bytes;
    __builtin_memcpy(&bytes, row.residual + at, sizeof(bytes));
    level = _mm256_cvtepu8_epi64(_mm_cvtsi32_si128(bytes));
  }
  const __m256i distance = _mm256_sub_epi64(level, _mm256_set1_epi64x(row.residual_zero));
  // The multiplier has up to 45 bits: 31 and the rest.
  const __m256i low =
      _mm256_mul_epi32(distance, _mm256_set1_epi64x(row.residual_multiplier & 0x7fffffff));
  const __m256i high =
      _mm256_mul_epi32(distance, _mm256_set1_epi64x(row.residual_multiplier >> 31));
  const __m256i product = _mm256_add_epi64(low, _mm256_slli_epi64(high, 31));
  return ShiftRight(_mm256_add_epi64(product, _mm256_set1_epi64x(1 << 15)), _mm256_set1_epi64x(16));
}

HAQ_INLINE void StoreLevels(const wide::Row& row, int64_t at, __m256i q) {
  const __m256i even = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
  const __m128i words = _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(q, even));
  const __m128i levels = _mm_packus_epi32(words, words);
  if (row.out_is_wide) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(row.out + 2 * at), levels);
  } else {
    const int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(levels, levels));
    __builtin_memcpy(row.out + at, &bytes, sizeof(bytes));
  }
}

}  // namespace

void WideRow(const wide::Row& row) {
  const auto* channels = reinterpret_cast<const long long*>(row.channels);
  for (int64_t i = 0; i < row.count; i += kWideLanes) {
    const Channels c = LoadChannels(channels + 2 * i);
    __m256i acc = Widen(row.low + i);
    if (row.high != nullptr) {
      acc = _mm256_add_epi64(acc, _mm256_slli_epi64(Widen(row.high + i), 8));
    }
    __m256i t = Term(acc, c);
    if (row.residual != nullptr) t = _mm256_add_epi64(t, ResidualTerm(row, i));
    const __m256i u =
        ShiftRight(_mm256_add_epi64(t, _mm256_set1_epi64x(1 << 11)), _mm256_set1_epi64x(12));
    StoreLevels(row, i,
                Clamp64(_mm256_add_epi64(u, _mm256_set1_epi64x(row.zero_point)),
                        _mm256_set1_epi64x(row.q_min), c.q_max));
  }
}

}  // namespace haq::kernels::avx2
