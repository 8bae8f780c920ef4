// Linear layers: dot products of weight rows where they lie in the file, widened to 16 bits on the
// way.
#include "core/kernels/avx2/linear.h"

#include "core/kernels/avx2/store.h"

namespace haq::kernels::avx2 {
namespace {

using simd::LinearCall;

constexpr int kSide = 4;               // weight rows side by side
constexpr int64_t kAheadBytes = 1024;  // of each weight row; the prefetcher stops at page ends

HAQ_INLINE __m128i SumFour(const __m256i (&acc)[kSide]) {
  const __m256i ab = _mm256_hadd_epi32(acc[0], acc[1]), cd = _mm256_hadd_epi32(acc[2], acc[3]);
  const __m256i lanes = _mm256_hadd_epi32(ab, cd);
  return _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
}

// sums[side] for one input row and four weight rows.
HAQ_INLINE void DotRow(const uint8_t* in, int64_t inputs, const int8_t* const (&w)[kSide],
                       int32_t* sums) {
  __m256i acc[kSide];
  HAQ_UNROLL for (int side = 0; side < kSide; ++side) acc[side] = _mm256_setzero_si256();
  for (int64_t i = 0; i < inputs; i += 16) {
    const int64_t count = inputs - i;
    const __m256i x = _mm256_cvtepu8_epi16(LoadLevels(in + i, count));
    HAQ_UNROLL for (int side = 0; side < kSide; ++side) {
      const auto* row = reinterpret_cast<const uint8_t*>(w[side]) + i;
      const __m256i weight = _mm256_cvtepi8_epi16(LoadLevels(row, count));
      acc[side] = _mm256_add_epi32(acc[side], _mm256_madd_epi16(x, weight));
      if (i % 64 == 0) {
        _mm_prefetch(reinterpret_cast<const char*>(row + kAheadBytes), _MM_HINT_T0);
      }
    }
  }
  _mm_storeu_si128(reinterpret_cast<__m128i*>(sums), SumFour(acc));
}

// Eight outputs; `first` is 0 or 8.
HAQ_INLINE void StoreEight(const LinearCall& call, const int32_t* sums, int first,
                           uint8_t* levels) {
  const ChannelBlock& channels = *call.channels;
  __m256i acc = _mm256_add_epi32(Load(sums + first), Load(channels.bias + first));
  if (channels.any_left) acc = ShiftLeft(acc, Load(channels.left + first));
  const __m256i shift = Load(channels.shift + first);
  const __m256i t = Scale(acc, acc, shift, shift, Load(channels.multiplier + 2 * first));
  const __m256i rounded = Round(t, *call.store);
  const __m256i packed = _mm256_packus_epi16(rounded, rounded);
  const __m128i in_order =
      _mm_unpacklo_epi32(_mm256_castsi256_si128(packed), _mm256_extracti128_si256(packed, 1));
  const __m128i q_max = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(channels.q_max + first));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(levels + first), Clamp(in_order, q_max, *call.store));
}

}  // namespace

void LinearDots(const wide::Dots& d) {
  for (int64_t o = 0; o < d.outputs; o += kSide) {
    const int8_t* w[kSide];
    for (int64_t side = 0; side < kSide; ++side) {
      // Beyond the last output: computed again and dropped.
      const int64_t row = o + side < d.outputs ? o + side : d.outputs - 1;
      w[side] = d.weight + row * d.depth;
    }
    for (int64_t r = 0; r < d.rows; ++r) {
      DotRow(d.in + r * d.depth, d.depth, w, d.sums + r * wide::kDotOutputs + o);
    }
  }
}

void LinearTile(const LinearCall& call) {
  alignas(64) int32_t sums[simd::kLinearRows][simd::kLinearOutputs] = {};
  LinearDots({call.in, call.weight, call.inputs, call.rows, call.count, sums[0]});
  for (int64_t r = 0; r < call.rows; ++r) {
    uint8_t levels[simd::kLinearOutputs];
    StoreEight(call, sums[r], 0, levels);
    StoreEight(call, sums[r], 8, levels);
    __builtin_memcpy(call.out + r * call.out_stride, levels, static_cast<size_t>(call.count));
  }
}

}  // namespace haq::kernels::avx2
