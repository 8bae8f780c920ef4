// Linear layers: dot products of weight rows where they lie in the file. Large layers live from the
// memory's bandwidth, so a few weight rows are read side by side and each byte once.
#include "core/kernels/avx512vnni/linear.h"

#include "core/kernels/avx512vnni/store.h"

namespace haq::kernels::avx512vnni {
namespace {

using simd::LinearCall;

constexpr int kSide = 4;               // weight rows side by side
constexpr int64_t kAheadBytes = 1024;  // of each weight row; the prefetcher stops at page ends

// The sums of four vectors, one in each lane.
HAQ_INLINE __m128i SumFour(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
  const __m512i lanes =
      _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
  const __m256i half =
      _mm256_add_epi32(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64(lanes, 1));
  return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

// sums[row * 16 + side] for R input rows and four weight rows.
template <int R>
HAQ_INLINE void DotRows(const uint8_t* in, int64_t inputs, const int8_t* const (&w)[kSide],
                        int32_t* sums) {
  __m512i acc[R][kSide];
  HAQ_UNROLL for (int r = 0; r < R; ++r) {
    HAQ_UNROLL for (int side = 0; side < kSide; ++side) acc[r][side] = _mm512_setzero_si512();
  }
  int64_t i = 0;
  for (; i + 64 <= inputs; i += 64) {
    __m512i weight[kSide];
    HAQ_UNROLL for (int side = 0; side < kSide; ++side) {
      weight[side] = _mm512_loadu_si512(w[side] + i);
      _mm_prefetch(reinterpret_cast<const char*>(w[side] + i + kAheadBytes), _MM_HINT_T0);
    }
    HAQ_UNROLL for (int r = 0; r < R; ++r) {
      const __m512i x = _mm512_loadu_si512(in + r * inputs + i);
      HAQ_UNROLL for (int side = 0; side < kSide; ++side) {
        acc[r][side] = _mm512_dpbusd_epi32(acc[r][side], x, weight[side]);
      }
    }
  }
  if (i < inputs) {
    const __mmask64 mask = ~__mmask64{0} >> (64 - (inputs - i));
    HAQ_UNROLL for (int r = 0; r < R; ++r) {
      const __m512i x = _mm512_maskz_loadu_epi8(mask, in + r * inputs + i);
      HAQ_UNROLL for (int side = 0; side < kSide; ++side) {
        acc[r][side] =
            _mm512_dpbusd_epi32(acc[r][side], x, _mm512_maskz_loadu_epi8(mask, w[side] + i));
      }
    }
  }
  HAQ_UNROLL for (int r = 0; r < R; ++r) {
    _mm_store_si128(reinterpret_cast<__m128i*>(sums + r * simd::kLinearOutputs),
                    SumFour(acc[r][0], acc[r][1], acc[r][2], acc[r][3]));
  }
}

HAQ_INLINE void StoreRow(const LinearCall& call, const int32_t* sums, uint8_t* out) {
  const ChannelBlock& channels = *call.channels;
  const Store store = LoadStore(*call.store);
  __m512i acc = _mm512_add_epi32(_mm512_load_si512(sums), _mm512_load_si512(channels.bias));
  if (channels.any_left) acc = ShiftLeft(acc, _mm512_load_si512(channels.left));
  const __m512i shift = _mm512_load_si512(channels.shift);
  const __m512i t = Scale(acc, acc, shift, shift, _mm512_load_si512(channels.multiplier));
  const __m512i packed = _mm512_packus_epi16(Round(t, store), _mm512_setzero_si512());
  const __m512i in_order = _mm512_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
  const __m512i q_max =
      _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(channels.q_max)));
  const __m512i levels = Clamp(_mm512_permutexvar_epi32(in_order, packed), q_max, store);
  _mm_mask_storeu_epi8(out, static_cast<__mmask16>((1 << call.count) - 1),
                       _mm512_castsi512_si128(levels));
}

// sums[row * 16 + o] for R input rows and up to 16 weight rows.
template <int R>
HAQ_INLINE void SumRows(const uint8_t* in, const int8_t* weight, int64_t inputs, int64_t count,
                        int32_t* sums) {
  for (int64_t o = 0; o < count; o += kSide) {
    const int8_t* w[kSide];
    for (int64_t side = 0; side < kSide; ++side) {
      // Beyond the last output: computed again and dropped.
      const int64_t row = o + side < count ? o + side : count - 1;
      w[side] = weight + row * inputs;
    }
    DotRows<R>(in, inputs, w, sums + o);
  }
}

template <int R>
void Rows(const LinearCall& call) {
  alignas(64) int32_t sums[R * simd::kLinearOutputs] = {};
  SumRows<R>(call.in, call.weight, call.inputs, call.count, sums);
  HAQ_UNROLL for (int r = 0; r < R; ++r) {
    StoreRow(call, sums + r * simd::kLinearOutputs, call.out + r * call.out_stride);
  }
}

}  // namespace

void LinearTile(const LinearCall& call) {
  if (call.rows == 1) return Rows<1>(call);
  if (call.rows == 2) return Rows<2>(call);
  if (call.rows == 3) return Rows<3>(call);
  Rows<4>(call);
}

void LinearDots(const wide::Dots& d) {
  if (d.rows == 1) return SumRows<1>(d.in, d.weight, d.depth, d.outputs, d.sums);
  if (d.rows == 2) return SumRows<2>(d.in, d.weight, d.depth, d.outputs, d.sums);
  if (d.rows == 3) return SumRows<3>(d.in, d.weight, d.depth, d.outputs, d.sums);
  SumRows<4>(d.in, d.weight, d.depth, d.outputs, d.sums);
}

}  // namespace haq::kernels::avx512vnni
