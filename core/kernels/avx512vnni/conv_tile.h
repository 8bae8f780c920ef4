// The sums of a convolution's tile: P pixels times V vectors of 16 channels in P * V named
// registers. For the sources of this folder.
#pragma once

#include "core/kernels/avx512vnni/store.h"

namespace haq::kernels::avx512vnni {

using simd::TileCall;

HAQ_INLINE __m512i Broadcast4(const uint8_t* p) {
  int32_t x;
  __builtin_memcpy(&x, p, 4);
  return _mm512_set1_epi32(x);
}

// Base pointers serve three pixels each (0, 1 and 2 strides away): x86 has too few registers for
// one pointer a pixel.
template <int P, int V>
HAQ_INLINE void Accumulate(const TileCall& call, __m512i (&acc)[P][V]) {
  constexpr int kHalf = (P + 1) / 2;
  const auto* w = static_cast<const uint8_t*>(call.weights);
  const int64_t stride = call.pixel_stride;
  HAQ_UNROLL for (int v = 0; v < V; ++v) {
    const __m512i bias = _mm512_load_si512(call.channels->bias + 16 * v);
    HAQ_UNROLL for (int p = 0; p < P; ++p) acc[p][v] = bias;
  }
  for (int64_t i = 0; i < call.segments; ++i) {
    const uint8_t *a0 = call.first + call.segment[i], *a3 = a0 + 3 * stride, *a6 = a3 + 3 * stride;
    const uint8_t *b0 = call.second + call.segment[i], *b3 = b0 + 3 * stride, *b6 = b3 + 3 * stride;
    for (int64_t k = 0; k < call.steps; ++k) {
      __m512i weights[V];
      HAQ_UNROLL for (int v = 0; v < V; ++v) weights[v] = _mm512_load_si512(w + 64 * v);
      HAQ_UNROLL for (int p = 0; p < P; ++p) {
        const int h = p < kHalf ? p : p - kHalf;
        const uint8_t* base = p < kHalf ? (h < 3   ? a0
                                           : h < 6 ? a3
                                                   : a6)
                                        : (h < 3   ? b0
                                           : h < 6 ? b3
                                                   : b6);
        const __m512i x = Broadcast4(base + h % 3 * stride);
        HAQ_UNROLL for (int v = 0; v < V; ++v) {
          acc[p][v] = _mm512_dpbusd_epi32(acc[p][v], x, weights[v]);
        }
      }
      w += 64 * V;
      a0 += 4, a3 += 4, a6 += 4, b0 += 4, b3 += 4, b6 += 4;
    }
  }
  if (call.channels->any_left) {
    HAQ_UNROLL for (int v = 0; v < V; ++v) {
      const __m512i left = _mm512_load_si512(call.channels->left + 16 * v);
      HAQ_UNROLL for (int p = 0; p < P; ++p) acc[p][v] = ShiftLeft(acc[p][v], left);
    }
  }
}

}  // namespace haq::kernels::avx512vnni
