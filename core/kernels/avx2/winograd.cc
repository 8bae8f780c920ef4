#include "core/kernels/avx2/winograd.h"

#include "core/kernels/avx2/store.h"

namespace haq::kernels::avx2 {
namespace {

// B^T of four vectors: d0 - d2, d1 + d2, d2 - d1, d1 - d3.
HAQ_INLINE void TransformInput(const __m256i (&d)[4], __m256i (&t)[4]) {
  t[0] = _mm256_sub_epi16(d[0], d[2]);
  t[1] = _mm256_add_epi16(d[1], d[2]);
  t[2] = _mm256_sub_epi16(d[2], d[1]);
  t[3] = _mm256_sub_epi16(d[1], d[3]);
}

template <int P>
void Dots(const simd::WinogradDots& call) {
  __m256i acc[P][2];
  HAQ_UNROLL for (int p = 0; p < P; ++p) acc[p][0] = acc[p][1] = _mm256_setzero_si256();
  const int16_t *w = call.weights, *v = call.values;
  const int64_t stride = call.stride;
  for (int64_t k = 0; k < call.steps; ++k, w += 32, v += 2) {
    const __m256i w0 = Load(w), w1 = Load(w + 16);
    HAQ_UNROLL for (int p = 0; p < P; ++p) {
      int32_t pair;
      __builtin_memcpy(&pair, v + p * stride, sizeof(pair));
      const __m256i x = _mm256_set1_epi32(pair);
      acc[p][0] = _mm256_add_epi32(acc[p][0], _mm256_madd_epi16(x, w0));
      acc[p][1] = _mm256_add_epi32(acc[p][1], _mm256_madd_epi16(x, w1));
    }
  }
  HAQ_UNROLL for (int p = 0; p < P; ++p) {
    HAQ_UNROLL for (int i = 0; i < 2; ++i) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(call.sums + p * 16 + i * 8), acc[p][i]);
    }
  }
}

// A^T m A of 8 channels, divided by 4: pixels (0, 0), (0, 1), (1, 0), (1, 1).
HAQ_INLINE void Outputs(const simd::WinogradStore& call, int offset, __m256i (&y)[4]) {
  __m256i rows[2][4];
  HAQ_UNROLL for (int j = 0; j < 4; ++j) {
    __m256i m[4];
    HAQ_UNROLL for (int i = 0; i < 4; ++i) {
      m[i] = Load(call.sums + (i * 4 + j) * call.position_stride + offset);
    }
    rows[0][j] = _mm256_add_epi32(_mm256_add_epi32(m[0], m[1]), m[2]);
    rows[1][j] = _mm256_sub_epi32(_mm256_sub_epi32(m[1], m[2]), m[3]);
  }
  HAQ_UNROLL for (int i = 0; i < 2; ++i) {
    const __m256i(&r)[4] = rows[i];
    const __m256i first = _mm256_add_epi32(_mm256_add_epi32(r[0], r[1]), r[2]);
    const __m256i second = _mm256_sub_epi32(_mm256_sub_epi32(r[1], r[2]), r[3]);
    y[2 * i] = _mm256_srai_epi32(first, 2), y[2 * i + 1] = _mm256_srai_epi32(second, 2);
  }
}

}  // namespace

const simd::WinogradDotsKernel kWinogradDots[simd::kMaxPixels + 1] = {
    nullptr, &Dots<1>, &Dots<2>, &Dots<3>, &Dots<4>, &Dots<5>, &Dots<6>};

void TransformPatch(const simd::WinogradPatch& patch) {
  for (int64_t c = 0; c < patch.channels; c += 16) {
    const int16_t* from = patch.from + c;
    int16_t* to = patch.to + c;
    __m256i columns[4][4];  // [column of the patch][row of B^T d]
    HAQ_UNROLL for (int j = 0; j < 4; ++j) {
      __m256i d[4];
      HAQ_UNROLL for (int i = 0; i < 4; ++i) {
        d[i] = Load(from + i * patch.row_stride + j * patch.channels);
      }
      TransformInput(d, columns[j]);
    }
    HAQ_UNROLL for (int i = 0; i < 4; ++i) {
      const __m256i d[4] = {columns[0][i], columns[1][i], columns[2][i], columns[3][i]};
      __m256i t[4];
      TransformInput(d, t);
      HAQ_UNROLL for (int j = 0; j < 4; ++j) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + (i * 4 + j) * patch.position_stride),
                            t[j]);
      }
    }
  }
}

void StoreWinograd(const simd::WinogradStore& call) {
  const ChannelBlock& channels = *call.channels;
  const TensorStore& store = *call.store;
  __m256i y[2][4];
  Outputs(call, 0, y[0]);
  Outputs(call, 8, y[1]);
  const __m256i bias0 = Load(channels.bias), bias1 = Load(channels.bias + 8);
  const __m256i shift0 = Load(channels.shift), shift1 = Load(channels.shift + 8);
  const __m256i left0 = Load(channels.left), left1 = Load(channels.left + 8);
  const __m256i multiplier = Load(channels.multiplier);
  const __m128i q_max = _mm_load_si128(reinterpret_cast<const __m128i*>(channels.q_max));
  HAQ_UNROLL for (int i = 0; i < 4; ++i) {
    const int row = i / 2, column = i % 2;
    if (row >= call.rows || column >= call.columns) continue;
    __m256i acc0 = _mm256_add_epi32(y[0][i], bias0), acc1 = _mm256_add_epi32(y[1][i], bias1);
    if (channels.any_left) acc0 = ShiftLeft(acc0, left0), acc1 = ShiftLeft(acc1, left1);
    __m256i t = Scale(acc0, acc1, shift0, shift1, multiplier);
    if (call.residual != nullptr) {
      const uint8_t* residual =
          call.residual + row * call.residual_row + column * call.residual_stride;
      t = AddResidual(t, LoadLevels(residual, call.count), store);
    }
    const __m256i rounded = Round(t, store);
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi16(rounded, rounded), 0xd8);
    StoreLevels(Clamp(_mm256_castsi256_si128(packed), q_max, store), call.count,
                call.out + row * call.out_row + column * call.out_stride);
  }
}

}  // namespace haq::kernels::avx2
