// For sources that are compiled for SSSE3 or more.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace haq::kernels::simd {

// Three planes to pixels of three bytes, sixteen pixels at a time.
static inline void InterleaveThreePlanes(int64_t count, const uint8_t* a, const uint8_t* b,
                                         const uint8_t* c, uint8_t* out) {
  const __m128i a0 = _mm_setr_epi8(0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1, 5);
  const __m128i b0 = _mm_setr_epi8(-1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1);
  const __m128i c0 = _mm_setr_epi8(-1, -1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1);
  const __m128i a1 = _mm_setr_epi8(-1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10, -1);
  const __m128i b1 = _mm_setr_epi8(5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10);
  const __m128i c1 = _mm_setr_epi8(-1, 5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1);
  const __m128i a2 = _mm_setr_epi8(-1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1, -1);
  const __m128i b2 = _mm_setr_epi8(-1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1);
  const __m128i c2 = _mm_setr_epi8(10, -1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16, out += 48) {
    const __m128i va = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a + i));
    const __m128i vb = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + i));
    const __m128i vc = _mm_loadu_si128(reinterpret_cast<const __m128i*>(c + i));
    const auto pick = [&](__m128i ma, __m128i mb, __m128i mc) {
      return _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(va, ma), _mm_shuffle_epi8(vb, mb)),
                          _mm_shuffle_epi8(vc, mc));
    };
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), pick(a0, b0, c0));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 16), pick(a1, b1, c1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 32), pick(a2, b2, c2));
  }
  for (; i < count; ++i, out += 3) out[0] = a[i], out[1] = b[i], out[2] = c[i];
}

}  // namespace haq::kernels::simd
