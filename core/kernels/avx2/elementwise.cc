#include "core/kernels/avx2/elementwise.h"

#include "core/kernels/avx2/store.h"
#include "core/kernels/simd/interleave_three.h"
#include "core/kernels/tie_break.h"

namespace haq::kernels::avx2 {
namespace {

// Both products of a pair of levels fit int32 by far; their 16-bit operands are exact.
HAQ_INLINE __m256i AddPairs(__m256i pairs, __m256i multipliers, __m256i constant, __m128i shift) {
  const __m256i sum = _mm256_add_epi32(_mm256_madd_epi16(pairs, multipliers), constant);
  return _mm256_sra_epi32(sum, shift);
}

}  // namespace

void AddRow(const simd::AddCall& call) {
  const __m256i multipliers = _mm256_set1_epi32(call.multipliers);
  const __m256i constant = _mm256_set1_epi32(call.constant);
  const __m128i shift = _mm_cvtsi32_si128(call.shift);
  const __m128i low = _mm_set1_epi8(static_cast<char>(call.q_min));
  const __m128i high = _mm_set1_epi8(static_cast<char>(call.q_max));
  for (int64_t i = 0; i < call.count; i += 16) {
    const int64_t count = call.count - i;
    const __m256i a = _mm256_cvtepu8_epi16(LoadLevels(call.a + i, count));
    const __m256i b = _mm256_cvtepu8_epi16(LoadLevels(call.b + i, count));
    const __m256i s0 = AddPairs(_mm256_unpacklo_epi16(a, b), multipliers, constant, shift);
    const __m256i s1 = AddPairs(_mm256_unpackhi_epi16(a, b), multipliers, constant, shift);
    const __m256i sums = _mm256_packs_epi32(s0, s1);
    const __m128i q =
        _mm_packus_epi16(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    StoreLevels(_mm_min_epu8(_mm_max_epu8(q, low), high), count, call.out + i);
  }
}

// q = clamp(round(x / scale + tie break) + zero, 0, 255): the division and the rounding are IEEE's,
// as in the scalar form.
void QuantizeRow(const simd::QuantizeCall& call) {
  const __m256 scale = _mm256_set1_ps(call.scale);
  const __m256 tie_break = _mm256_set1_ps(kTieBreak);
  const __m256 low = _mm256_set1_ps(-1024.0f), high = _mm256_set1_ps(1024.0f);
  const __m256i zero_point = _mm256_set1_epi32(call.zero_point);
  for (int64_t i = 0; i < call.count; i += 8) {
    const auto count = static_cast<size_t>(call.count - i < 8 ? call.count - i : 8);
    float real[8] = {};
    __builtin_memcpy(real, call.real + i, count * sizeof(float));
    __m256 y = _mm256_add_ps(
        _mm256_div_ps(_mm256_loadu_ps(count == 8 ? call.real + i : real), scale), tie_break);
    const __m256 number = _mm256_cmp_ps(y, y, _CMP_ORD_Q);
    y = _mm256_and_ps(_mm256_min_ps(_mm256_max_ps(y, low), high), number);
    const __m256i q = _mm256_add_epi32(_mm256_cvtps_epi32(y), zero_point);
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
    uint8_t levels[8];
    _mm_storel_epi64(reinterpret_cast<__m128i*>(levels), _mm_packus_epi16(words, words));
    __builtin_memcpy(call.levels + i, levels, count);
  }
}

void InterleaveThree(int64_t count, const uint8_t* a, const uint8_t* b, const uint8_t* c,
                     uint8_t* out) {
  simd::InterleaveThreePlanes(count, a, b, c, out);
}

void CountEnds(simd::EndsCall& call) {
  const __m256i first = _mm256_setzero_si256(), last = _mm256_set1_epi8(-1);
  int64_t i = 0;
  for (; i + 32 <= call.count; i += 32) {
    const __m256i levels = Load(call.levels + i);
    const auto low = static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(levels, first)));
    const auto high = static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(levels, last)));
    call.low += __builtin_popcount(low);
    call.high += __builtin_popcount(high);
  }
  for (; i < call.count; ++i) {
    call.low += call.levels[i] == 0;
    call.high += call.levels[i] == 255;
  }
}

void MaxPixel(const simd::MaxCall& call) {
  for (int64_t c = 0; c < call.channels; c += 16) {
    const int64_t count = call.channels - c;
    __m128i largest = _mm_setzero_si128();
    for (int64_t t = 0; t < call.taps; ++t) {
      largest = _mm_max_epu8(largest, LoadLevels(call.tap[t] + c, count));
    }
    StoreLevels(largest, count, call.out + c);
  }
}

// 257 levels fit 16 bits.
void SumPixels(const simd::SumCall& call) {
  for (int64_t c = 0; c < call.channels; c += 16) {
    const int64_t count = call.channels - c < 16 ? call.channels - c : 16;
    alignas(32) int32_t sums[16] = {};
    __builtin_memcpy(sums, call.sums + c, static_cast<size_t>(count) * sizeof(int32_t));
    for (int64_t first = 0; first < call.count; first += 256) {
      const int64_t last = first + 256 < call.count ? first + 256 : call.count;
      __m256i sum = _mm256_setzero_si256();
      for (int64_t i = first; i < last; ++i) {
        const __m128i x = LoadLevels(call.in + i * call.stride + c, count);
        sum = _mm256_add_epi16(sum, _mm256_cvtepu8_epi16(x));
      }
      const __m256i low = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(sum));
      const __m256i high = _mm256_cvtepu16_epi32(_mm256_extracti128_si256(sum, 1));
      auto* at = reinterpret_cast<__m256i*>(sums);
      _mm256_store_si256(at, _mm256_add_epi32(_mm256_load_si256(at), low));
      _mm256_store_si256(at + 1, _mm256_add_epi32(_mm256_load_si256(at + 1), high));
    }
    __builtin_memcpy(call.sums + c, sums, static_cast<size_t>(count) * sizeof(int32_t));
  }
}

void StoreSums(const simd::StoreCall& call) {
  const TensorStore store{call.round_multiplier, call.output_offset, 0, 0, call.q_min};
  const __m256i right = _mm256_set1_epi32(call.shift > 0 ? call.shift : 0);
  const __m256i left = _mm256_set1_epi32(call.shift < 0 ? -call.shift : 0);
  const __m256i multiplier = _mm256_set1_epi16(call.multiplier);
  const __m128i q_max = _mm_set1_epi8(static_cast<char>(call.q_max));
  for (int64_t i = 0; i < call.count; i += 8) {
    const int64_t count = call.count - i < 8 ? call.count - i : 8;
    int32_t sums[8] = {};
    __builtin_memcpy(sums, call.sums + i, static_cast<size_t>(count) * sizeof(int32_t));
    const __m256i acc = ShiftLeft(Load(sums), left);
    const __m256i rounded = Round(Scale(acc, acc, right, right, multiplier), store);
    const __m256i packed = _mm256_packus_epi16(rounded, rounded);
    const __m128i in_order =
        _mm_unpacklo_epi32(_mm256_castsi256_si128(packed), _mm256_extracti128_si256(packed, 1));
    StoreLevels(Clamp(in_order, q_max, store), count, call.out + i);
  }
}

}  // namespace haq::kernels::avx2
