// Increments of counters in memory, one a cycle, are what counting costs; everything else has to
// hide behind them. So
//  - zeros, which activations are full of, are left out of the indices and counted by subtraction;
//  - the arithmetic of one chunk overlaps the increments of another: chunks are no longer than what
//    the processor reorders, and a chunk's indices are read when they have long left the store
//    buffer, a chunk later;
//  - the number of increments is rounded up with spare counters, since a loop that ends elsewhere
//    every time is a branch mispredicted every time;
//  - values come into the cache before they are needed: increments at random places keep the
//    hardware from noticing that the values are read one after the other.
#include "core/calib/cell_loops_avx512.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <array>
#include <cstring>

#define HAQ_AVX512 [[gnu::target("avx512f,avx512dq,avx512vl,avx512bw,popcnt"), gnu::always_inline]]

namespace haq::calib::internal {
namespace {

constexpr size_t kVector = 16;
constexpr size_t kChunk = LaneCounters::kChunk;
constexpr size_t kPrefetchValues = 2048;
static_assert(kLaneStride <= 65536, "an index has 16 bits");

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

// Indices of a chunk, and of spare counters behind them.
struct Indices {
  static constexpr size_t kStep = kSpareCounters;

  alignas(64) uint16_t values[kChunk + 2 * kStep];
  size_t size = 0;

  HAQ_AVX512 void Close() {
    alignas(64) static constexpr auto kSpare = [] {
      std::array<uint16_t, kStep> spare{};
      for (size_t i = 0; i < kStep; ++i) spare[i] = static_cast<uint16_t>(CellGrid::kCells + i);
      return spare;
    }();
    _mm512_storeu_si512(values + size, _mm512_load_si512(kSpare.data()));
  }
};

HAQ_AVX512 inline void Increment(const Indices& indices, uint32_t* lanes) {
  static_assert(kLanes == 2);
  uint32_t* const second = lanes + kLaneStride;
  for (size_t at = 0; at < indices.size; at += Indices::kStep) {
#pragma GCC unroll 8
    for (size_t i = 0; i < Indices::kStep; i += 4) {
      uint64_t four;
      std::memcpy(&four, indices.values + at + i, sizeof(four));
      ++lanes[four & 0xffff];
      ++second[(four >> 16) & 0xffff];
      ++lanes[(four >> 32) & 0xffff];
      ++second[four >> 48];
    }
  }
}

// The indices of a chunk's values that are not zero; extremes are widened to the values. False when
// a value is not finite or not within the grid.
HAQ_AVX512 inline bool IndexChunk(const GridConstants& grid, const float* chunk, size_t size,
                                  Extremes& extremes, Indices& indices) {
  const size_t whole = size / kVector * kVector;
  __mmask16 outside = 0;
  size_t written = 0;
  for (size_t i = 0; i < whole; i += kVector) {
    Prefetch(chunk + i);
    written += WriteIndices(grid, _mm512_loadu_si512(chunk + i), 0xffff, extremes, outside,
                            indices.values + written);
  }
  if (whole < size) {
    const auto rest = static_cast<__mmask16>((1u << (size - whole)) - 1);
    written += WriteIndices(grid, _mm512_maskz_loadu_epi32(rest, chunk + whole), rest, extremes,
                            outside, indices.values + written);
  }
  indices.size = written;
  indices.Close();
  return outside == 0;
}

}  // namespace

[[gnu::target("avx512f,avx512dq,avx512vl,avx512bw,popcnt")]] Tally CountAvx512(
    const float* values, size_t count, const GridConstants& grid_in_memory, uint32_t* lanes) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const GridConstants grid = grid_in_memory;
  Indices indices[2];
  Extremes extremes{_mm512_set1_ps(kInfinity), _mm512_set1_ps(-kInfinity)};
  Tally tally;
  size_t not_zero = 0;
  for (int turn = 0; tally.size < count; turn ^= 1) {
    const size_t size = std::min(kChunk, count - tally.size);
    Extremes widened = extremes;
    if (!IndexChunk(grid, values + tally.size, size, widened, indices[turn])) {
      indices[turn].size = 0;
      break;
    }
    Increment(indices[turn ^ 1], lanes);
    indices[turn ^ 1].size = 0;
    extremes = widened;
    tally.size += size;
    not_zero += indices[turn].size;
  }
  for (const Indices& last : indices) Increment(last, lanes);
  tally.zeros = static_cast<uint32_t>(tally.size - not_zero);
  lanes[0] += tally.zeros;
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
