#include <immintrin.h>

#include "tests/bench/peak.h"

namespace haq::bench {

#define HAQ_ADD(acc) asm volatile("vpdpbusd %1, %1, %0" : "+v"(acc) : "v"(x))

// Twelve chains cover the latency of two instructions a cycle. `asm` keeps the compiler from
// finding out that the sums are never used; a macro, for named variables stay in registers, which
// an array or a reference does not.
int64_t RoundsAvx512Vnni(int64_t rounds) {
  const __m512i x = _mm512_set1_epi8(1);
  __m512i a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x, k = x, l = x;
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
  return 12 * 64;
}

}  // namespace haq::bench
