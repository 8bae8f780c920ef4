#include "core/float_exec/dot_rows.h"

namespace haq::float_exec {
namespace {

constexpr int64_t kLanes = 16, kSamples = 4;

// `kSamples` samples, or fewer, share one pass over a row. Every sample has its own sums, one a
// lane, so their number changes nothing. Inlined into both clones below.
template <int64_t N>
[[gnu::always_inline]] inline void DotRow(const float* __restrict w, float bias, int64_t depth,
                                          const float* __restrict x, float* out,
                                          int64_t out_stride) {
  float sums[N][kLanes] = {};
  int64_t k = 0;
  for (; k + kLanes <= depth; k += kLanes) {
    for (int64_t n = 0; n < N; ++n) {
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        sums[n][lane] += w[k + lane] * x[n * depth + k + lane];
      }
    }
  }
  for (int64_t n = 0; n < N; ++n) {
    for (int64_t i = k; i < depth; ++i) sums[n][i - k] += w[i] * x[n * depth + i];
    for (int64_t half = kLanes / 2; half > 0; half /= 2) {
      for (int64_t lane = 0; lane < half; ++lane) sums[n][lane] += sums[n][lane + half];
    }
    out[n * out_stride] = sums[n][0] + bias;
  }
}

}  // namespace

[[gnu::target_clones("default,avx2,avx512f")]] void DotRows(const float* weight, const float* bias,
                                                            int64_t rows, int64_t depth,
                                                            const float* x, int64_t samples,
                                                            float* out, int64_t out_stride) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* w = weight + row * depth;
    const float b = bias ? bias[row] : 0;
    int64_t n = 0;
    for (; n + kSamples <= samples; n += kSamples) {
      DotRow<kSamples>(w, b, depth, x + n * depth, out + n * out_stride + row, out_stride);
    }
    for (; n < samples; ++n) {
      DotRow<1>(w, b, depth, x + n * depth, out + n * out_stride + row, out_stride);
    }
  }
}

}  // namespace haq::float_exec
