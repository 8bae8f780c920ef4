#include "core/kernels/avx512vnni/elementwise.h"
#include "core/kernels/avx512vnni/store.h"

namespace haq::kernels::avx512vnni {
namespace {

HAQ_INLINE __mmask64 MaskOf(int64_t rest) {
  return rest < 64 ? ~__mmask64{0} >> (64 - rest) : ~__mmask64{0};
}

}  // namespace

void MaxPixel(const simd::MaxCall& call) {
  for (int64_t c = 0; c < call.channels; c += 64) {
    const __mmask64 mask = MaskOf(call.channels - c);
    __m512i largest = _mm512_setzero_si512();
    for (int64_t t = 0; t < call.taps; ++t) {
      largest = _mm512_max_epu8(largest, _mm512_maskz_loadu_epi8(mask, call.tap[t] + c));
    }
    _mm512_mask_storeu_epi8(call.out + c, mask, largest);
  }
}

// 257 levels fit 16 bits.
void SumPixels(const simd::SumCall& call) {
  for (int64_t c = 0; c < call.channels; c += 32) {
    const auto mask =
        static_cast<__mmask32>(call.channels - c < 32 ? ~0u >> (32 - (call.channels - c)) : ~0u);
    const __mmask16 mask0 = static_cast<__mmask16>(mask),
                    mask1 = static_cast<__mmask16>(mask >> 16);
    __m512i sum0 = _mm512_maskz_loadu_epi32(mask0, call.sums + c);
    __m512i sum1 = _mm512_maskz_loadu_epi32(mask1, call.sums + c + 16);
    for (int64_t first = 0; first < call.count; first += 256) {
      const int64_t last = first + 256 < call.count ? first + 256 : call.count;
      __m512i sum = _mm512_setzero_si512();
      for (int64_t i = first; i < last; ++i) {
        const __m256i x = _mm256_maskz_loadu_epi8(mask, call.in + i * call.stride + c);
        sum = _mm512_add_epi16(sum, _mm512_cvtepu8_epi16(x));
      }
      sum0 = _mm512_add_epi32(sum0, _mm512_cvtepu16_epi32(_mm512_castsi512_si256(sum)));
      sum1 = _mm512_add_epi32(sum1, _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(sum, 1)));
    }
    _mm512_mask_storeu_epi32(call.sums + c, mask0, sum0);
    _mm512_mask_storeu_epi32(call.sums + c + 16, mask1, sum1);
  }
}

void StoreSums(const simd::StoreCall& call) {
  const simd::TensorStore tensor{call.round_multiplier, call.output_offset, 0, 0, call.q_min};
  const Store store = LoadStore(tensor);
  const __m512i right = _mm512_set1_epi32(call.shift > 0 ? call.shift : 0);
  const __m512i left = _mm512_set1_epi32(call.shift < 0 ? -call.shift : 0);
  const __m512i multiplier = _mm512_set1_epi16(call.multiplier);
  const __m512i q_max = _mm512_set1_epi8(static_cast<char>(call.q_max));
  const __m512i in_order = _mm512_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
  for (int64_t i = 0; i < call.count; i += 16) {
    const auto mask =
        static_cast<__mmask16>(call.count - i < 16 ? 0xffff >> (16 - (call.count - i)) : 0xffff);
    const __m512i acc = ShiftLeft(_mm512_maskz_loadu_epi32(mask, call.sums + i), left);
    const __m512i t = Scale(acc, acc, right, right, multiplier);
    const __m512i packed = _mm512_packus_epi16(Round(t, store), _mm512_setzero_si512());
    const __m512i levels = Clamp(_mm512_permutexvar_epi32(in_order, packed), q_max, store);
    _mm_mask_storeu_epi8(call.out + i, mask, _mm512_castsi512_si128(levels));
  }
}

}  // namespace haq::kernels::avx512vnni
