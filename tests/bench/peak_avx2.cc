#include <immintrin.h>

#include "tests/bench/peak.h"

namespace haq::bench {

#define HAQ_ADD(acc)                                            \
  asm volatile("vpmaddwd %1, %1, %0" : "=x"(product) : "x"(x)); \
  asm volatile("vpaddd %1, %0, %0" : "+x"(acc) : "x"(product))

// As in peak_avx512vnni.cc; the product and its sum are two instructions.
int64_t RoundsAvx2(int64_t rounds) {
  const __m256i x = _mm256_set1_epi8(1);
  __m256i a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x, k = x, l = x;
  __m256i product;
  for (int64_t round = 0; round < rounds; ++round) {
    HAQ_ADD(a);
    HAQ_ADD(b);
    HAQ_ADD(c);
    HAQ_ADD(d);
    HAQ_ADD(e);
    HAQ_ADD(f);
    HAQ_ADD(g);
    HAQ_ADD(h);
    HAQ_ADD(i);
    HAQ_ADD(j);
    HAQ_ADD(k);
    HAQ_ADD(l);
  }
  return 12 * 16;
}

}  // namespace haq::bench
