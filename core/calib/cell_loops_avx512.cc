// Increments of counters in memory, one a cycle, are what counting costs; everything else has to
// hide behind them. So zeros, which activations are full of, are left out of the indices and
// counted by subtraction; the arithmetic of the next chunk overlaps the increments of this one,
// because a chunk is no longer than what the processor reorders; and values come into the cache
// before they are needed, since increments at random places keep the hardware from noticing that
// the values are read one after the other.
#include "core/calib/cell_loops_avx512.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

#define HAQ_AVX512 [[gnu::target("avx512f,avx512dq,avx512vl,avx512bw,popcnt"), gnu::always_inline]]

namespace haq::calib::internal {
namespace {

constexpr size_t kVector = 16;
constexpr size_t kChunk = LaneCounters::kChunk;
constexpr size_t kPrefetchValues = 2048;
static_assert(CellGrid::kCells <= 65536, "an index has 16 bits");

struct Extremes {
  __m512 low, high;
};

HAQ_AVX512 inline void Prefetch(const float* values) {
  // As a number: it may be the address of nothing.
  _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(values) +
                                             kPrefetchValues * sizeof(float)),
               _MM_HINT_T0);
}

// IndexIn of each value.
HAQ_AVX512 inline __m512i IndicesIn(const GridConstants& grid, __m512i bits, __m512i magnitude) {
  const __m512i linear = _mm512_cvttps_epi32(
      _mm512_mul_ps(_mm512_castsi512_ps(magnitude), _mm512_set1_ps(grid.scale)));
  const __m512i octave =
      _mm512_sub_epi32(_mm512_srli_epi32(magnitude, kOctaveShift),
                       _mm512_set1_epi32(grid.octave_key - CellGrid::kFirstLinear));
  const __mmask16 is_linear = _mm512_cmpge_epi32_mask(
      magnitude, _mm512_set1_epi32(static_cast<int32_t>(grid.linear_from_bits)));
  const __m512i index =
      _mm512_mask_add_epi32(_mm512_max_epi32(octave, _mm512_setzero_si512()), is_linear, linear,
                            _mm512_set1_epi32(CellGrid::kFirstLinear - CellGrid::kOctaveCells));
  return _mm512_mask_add_epi32(index, _mm512_movepi32_mask(bits), index,
                               _mm512_set1_epi32(CellGrid::kSideCells));
}

// Writes the indices of those of up to 16 values that are not zero; returns how many. The values
// beyond `used` are zero.
HAQ_AVX512 inline uint32_t WriteIndices(const GridConstants& grid, __m512i bits, __mmask16 used,
                                        Extremes& extremes, __mmask16& outside, uint16_t* indices) {
  const __m512 values = _mm512_castsi512_ps(bits);
  const __m512i magnitude = _mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff));
  extremes.low = _mm512_mask_min_ps(extremes.low, used, extremes.low, values);
  extremes.high = _mm512_mask_max_ps(extremes.high, used, extremes.high, values);
  outside |=
      _mm512_cmpge_epi32_mask(magnitude, _mm512_set1_epi32(static_cast<int32_t>(grid.end_bits)));
  const __mmask16 not_zero = _mm512_test_epi32_mask(magnitude, magnitude);
  const __m512i packed = _mm512_maskz_compress_epi32(not_zero, IndicesIn(grid, bits, magnitude));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(indices), _mm512_cvtepi32_epi16(packed));
  return static_cast<uint32_t>(_mm_popcnt_u32(not_zero));
}

HAQ_AVX512 inline void Increment(const uint16_t* indices, size_t count, uint32_t* lanes) {
  static_assert(kLanes == 2);
  uint32_t* const second = lanes + kLaneStride;
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    uint64_t four;
    std::memcpy(&four, indices + i, sizeof(four));
    ++lanes[four & 0xffff];
    ++second[(four >> 16) & 0xffff];
    ++lanes[(four >> 32) & 0xffff];
    ++second[four >> 48];
  }
  for (; i < count; ++i) ++lanes[indices[i]];
}

}  // namespace

[[gnu::target("avx512f,avx512dq,avx512vl,avx512bw,popcnt")]] Tally CountAvx512(
    const float* values, size_t count, const GridConstants& grid_in_memory, uint32_t* lanes) {
  const GridConstants grid = grid_in_memory;
  alignas(64) uint16_t indices[kChunk + 2 * kVector];
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  Extremes extremes{_mm512_set1_ps(kInfinity), _mm512_set1_ps(-kInfinity)};
  Tally tally;
  while (tally.size < count) {
    const float* const chunk = values + tally.size;
    const size_t size = std::min(kChunk, count - tally.size), whole = size / kVector * kVector;
    Extremes widened = extremes;
    __mmask16 outside = 0;
    size_t written = 0;
    for (size_t i = 0; i < whole; i += kVector) {
      Prefetch(chunk + i);
      written += WriteIndices(grid, _mm512_loadu_si512(chunk + i), 0xffff, widened, outside,
                              indices + written);
    }
    if (whole < size) {
      const auto rest = static_cast<__mmask16>((1u << (size - whole)) - 1);
      written += WriteIndices(grid, _mm512_maskz_loadu_epi32(rest, chunk + whole), rest, widened,
                              outside, indices + written);
    }
    if (outside != 0) break;
    Increment(indices, written, lanes);
    extremes = widened;
    lanes[0] += static_cast<uint32_t>(size - written);
    tally.zeros += static_cast<uint32_t>(size - written);
    tally.size += size;
  }
  if (tally.size > 0) {
    alignas(64) float low[kVector], high[kVector];
    _mm512_store_ps(low, extremes.low);
    _mm512_store_ps(high, extremes.high);
    // + 0 turns -0 into 0.
    tally.low = *std::min_element(low, low + kVector) + 0.0f;
    tally.high = *std::max_element(high, high + kVector) + 0.0f;
  }
  return tally;
}

}  // namespace haq::calib::internal
#endif
