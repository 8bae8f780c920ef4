#include "core/kernels/avx512vnni/elementwise.h"

#include "core/kernels/avx512vnni/store.h"
#include "core/kernels/simd/interleave_three.h"
#include "core/kernels/tie_break.h"

namespace haq::kernels::avx512vnni {
namespace {

// Both products of a pair of levels fit int32 by far; their 16-bit operands are exact.
HAQ_INLINE __m512i AddPairs(__m512i pairs, __m512i multipliers, __m512i constant, __m128i shift) {
  const __m512i sum = _mm512_add_epi32(_mm512_madd_epi16(pairs, multipliers), constant);
  return _mm512_sra_epi32(sum, shift);
}

}  // namespace

void AddRow(const simd::AddCall& call) {
  const __m512i multipliers = _mm512_set1_epi32(call.multipliers);
  const __m512i constant = _mm512_set1_epi32(call.constant);
  const __m128i shift = _mm_cvtsi32_si128(call.shift);
  const __m512i low = _mm512_set1_epi8(static_cast<char>(call.q_min));
  const __m512i high = _mm512_set1_epi8(static_cast<char>(call.q_max));
  const __m512i zero = _mm512_setzero_si512();
  for (int64_t i = 0; i < call.count; i += 64) {
    const int64_t count = call.count - i < 64 ? call.count - i : 64;
    const __mmask64 mask = ~__mmask64{0} >> (64 - count);
    const __m512i a = _mm512_maskz_loadu_epi8(mask, call.a + i);
    const __m512i b = _mm512_maskz_loadu_epi8(mask, call.b + i);
    const __m512i lo = _mm512_unpacklo_epi8(a, b), hi = _mm512_unpackhi_epi8(a, b);
    const __m512i s0 = AddPairs(_mm512_unpacklo_epi8(lo, zero), multipliers, constant, shift);
    const __m512i s1 = AddPairs(_mm512_unpackhi_epi8(lo, zero), multipliers, constant, shift);
    const __m512i s2 = AddPairs(_mm512_unpacklo_epi8(hi, zero), multipliers, constant, shift);
    const __m512i s3 = AddPairs(_mm512_unpackhi_epi8(hi, zero), multipliers, constant, shift);
    const __m512i q = _mm512_packus_epi16(_mm512_packs_epi32(s0, s1), _mm512_packs_epi32(s2, s3));
    _mm512_mask_storeu_epi8(call.out + i, mask, _mm512_min_epu8(_mm512_max_epu8(q, low), high));
  }
}

// q = clamp(round(x / scale + tie break) + zero, 0, 255): the division and the rounding are IEEE's,
// as in the scalar form; min and max return their second operand for NaN, which is where the
// compare sends it.
void QuantizeRow(const simd::QuantizeCall& call) {
  const __m512 scale = _mm512_set1_ps(call.scale);
  const __m512 tie_break = _mm512_set1_ps(kTieBreak);
  const __m512 low = _mm512_set1_ps(-1024.0f), high = _mm512_set1_ps(1024.0f);
  const __m512i zero_point = _mm512_set1_epi32(call.zero_point);
  for (int64_t i = 0; i < call.count; i += 16) {
    const int64_t count = call.count - i < 16 ? call.count - i : 16;
    const auto mask = static_cast<__mmask16>(0xffff >> (16 - count));
    const __m512 y =
        _mm512_add_ps(_mm512_div_ps(_mm512_maskz_loadu_ps(mask, call.real + i), scale), tie_break);
    const __mmask16 number = _mm512_cmp_ps_mask(y, y, _CMP_ORD_Q);
    const __m512 clamped = _mm512_maskz_min_ps(number, _mm512_max_ps(y, low), high);
    const __m512i q = _mm512_add_epi32(
        _mm512_cvt_roundps_epi32(clamped, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
        zero_point);
    _mm_mask_storeu_epi8(call.levels + i, mask,
                         _mm512_cvtusepi32_epi8(_mm512_max_epi32(q, _mm512_setzero_si512())));
  }
}

void InterleaveThree(int64_t count, const uint8_t* a, const uint8_t* b, const uint8_t* c,
                     uint8_t* out) {
  simd::InterleaveThreePlanes(count, a, b, c, out);
}

void CountEnds(simd::EndsCall& call) {
  const __m512i last = _mm512_set1_epi8(-1);
  for (int64_t i = 0; i < call.count; i += 64) {
    const int64_t count = call.count - i < 64 ? call.count - i : 64;
    const __mmask64 mask = ~__mmask64{0} >> (64 - count);
    const __m512i levels = _mm512_maskz_loadu_epi8(mask, call.levels + i);
    call.low += __builtin_popcountll(_mm512_mask_testn_epi8_mask(mask, levels, levels));
    call.high += __builtin_popcountll(_mm512_cmpeq_epi8_mask(levels, last));
  }
}

}  // namespace haq::kernels::avx512vnni
