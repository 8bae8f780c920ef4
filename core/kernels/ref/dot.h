// Dot products of 16-bit rows. For the sources of this folder.
#pragma once

#include <cstdint>

namespace haq::kernels::ref {

inline constexpr int64_t kDepthStep = 8;  // int16 lanes of the narrowest vector: rows are padded
inline constexpr int64_t kRowTile = 4;    // weight rows that one pass over the pixels serves

// acc[p * stride + j] += dot(row p, weight row j) for two rows and four weight rows. The compiler
// turns each sum into multiply-add-pairs. Pairs of products are below 2^16 in magnitude; sums
// stay inside int32 by the layer's certificate.
inline void DotTwoByFour(const int16_t* __restrict a, int64_t depth, const int16_t* __restrict w,
                         int32_t* __restrict acc, int64_t stride) {
  const int16_t* __restrict b = a + depth;
  const int16_t *w0 = w, *w1 = w0 + depth, *w2 = w1 + depth, *w3 = w2 + depth;
  int32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
  const int64_t count = depth & ~(kDepthStep - 1);
  for (int64_t i = 0; i < count; ++i) {
    a0 += a[i] * w0[i], a1 += a[i] * w1[i], a2 += a[i] * w2[i], a3 += a[i] * w3[i];
    b0 += b[i] * w0[i], b1 += b[i] * w1[i], b2 += b[i] * w2[i], b3 += b[i] * w3[i];
  }
  acc[0] += a0, acc[1] += a1, acc[2] += a2, acc[3] += a3;
  acc += stride;
  acc[0] += b0, acc[1] += b1, acc[2] += b2, acc[3] += b3;
}

}  // namespace haq::kernels::ref
