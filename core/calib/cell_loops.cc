#include "core/calib/cell_loops.h"

#include "core/calib/cell_loops_avx512.h"

namespace haq::calib::internal {
namespace {

constexpr size_t kChunk = LaneCounters::kChunk;
constexpr int32_t kInfinityBits = 0x7f800000;

// Of a chunk: integers that order like the values, NaN and infinity beyond every finite one.
struct Keys {
  int32_t low = INT32_MAX, high = INT32_MIN;
};

[[gnu::always_inline]] inline Keys KeysOf(const float* values, size_t count) {
  Keys keys;
  for (size_t i = 0; i < count; ++i) {
    const int32_t key = KeyOf(values[i]);
    keys.low = std::min(keys.low, key);
    keys.high = std::max(keys.high, key);
  }
  return keys;
}

[[gnu::always_inline]] inline uint32_t ZerosIn(const float* values, size_t count) {
  uint32_t zeros = 0;
  for (size_t i = 0; i < count; ++i) zeros += (std::bit_cast<uint32_t>(values[i]) << 1) == 0;
  return zeros;
}

[[gnu::always_inline]] inline void CountChunk(const float* values, size_t count,
                                              const GridConstants grid, uint32_t* lanes) {
  alignas(64) int32_t indices[kChunk];
  for (size_t i = 0; i < count; ++i) indices[i] = IndexIn(grid, values[i]);
  static_assert(kLanes == 2);
  size_t i = 0;
  for (; i + 2 <= count; i += 2) {
    ++lanes[indices[i]];
    ++lanes[kLaneStride + indices[i + 1]];
  }
  if (i < count) ++lanes[indices[i]];
}

[[gnu::always_inline]] inline Tally CountBody(const float* values, size_t count,
                                              const GridConstants& grid, uint32_t* lanes) {
  const float end = std::bit_cast<float>(grid.end_bits);
  const int32_t least = KeyOf(-end), most = KeyOf(end);
  Tally tally;
  for (size_t at = 0; at < count; at += kChunk) {
    const size_t size = std::min(kChunk, count - at);
    const Keys keys = KeysOf(values + at, size);
    if (keys.low <= least || keys.high >= most) break;
    CountChunk(values + at, size, grid, lanes);
    // + 0 turns -0 into 0.
    tally.Append(
        {size, ZerosIn(values + at, size), ValueOf(keys.low) + 0.0f, ValueOf(keys.high) + 0.0f});
  }
  return tally;
}

[[gnu::always_inline]] inline void FlushBody(uint32_t* lanes, uint64_t* counts, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    uint64_t sum = 0;
    for (int lane = 0; lane < kLanes; ++lane) sum += lanes[lane * kLaneStride + i];
    counts[i] += sum;
  }
  for (int lane = 0; lane < kLanes; ++lane) std::fill_n(lanes + lane * kLaneStride, count, 0);
}

[[gnu::always_inline]] inline float LargestFiniteBody(const float* values, size_t count) {
  int32_t largest = 0;
  for (size_t i = 0; i < count; ++i) {
    const int32_t magnitude = std::bit_cast<int32_t>(values[i]) & 0x7fffffff;
    largest = std::max(largest, magnitude < kInfinityBits ? magnitude : 0);
  }
  return std::bit_cast<float>(largest);
}

Tally CountPlain(const float* values, size_t count, const GridConstants& grid, uint32_t* lanes) {
  return CountBody(values, count, grid, lanes);
}
void FlushPlain(uint32_t* lanes, uint64_t* counts, size_t count) {
  FlushBody(lanes, counts, count);
}
float LargestFinitePlain(const float* values, size_t count) {
  return LargestFiniteBody(values, count);
}

#if defined(__x86_64__)
#define HAQ_AVX2 [[gnu::target("avx2")]]
#define HAQ_AVX512 [[gnu::target("avx512f,avx512dq,avx512vl,avx512bw")]]

HAQ_AVX2 Tally CountAvx2(const float* values, size_t count, const GridConstants& grid,
                         uint32_t* lanes) {
  return CountBody(values, count, grid, lanes);
}
HAQ_AVX2 void FlushAvx2(uint32_t* lanes, uint64_t* counts, size_t count) {
  FlushBody(lanes, counts, count);
}
HAQ_AVX512 void FlushAvx512(uint32_t* lanes, uint64_t* counts, size_t count) {
  FlushBody(lanes, counts, count);
}

HAQ_AVX2 float LargestFiniteAvx2(const float* values, size_t count) {
  return LargestFiniteBody(values, count);
}
HAQ_AVX512 float LargestFiniteAvx512(const float* values, size_t count) {
  return LargestFiniteBody(values, count);
}
#endif

}  // namespace

std::vector<Loops> SupportedLoops() {
  std::vector<Loops> loops;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")) {
    loops.push_back({"avx512", CountAvx512, FlushAvx512, LargestFiniteAvx512});
  }
  if (__builtin_cpu_supports("avx2"))
    loops.push_back({"avx2", CountAvx2, FlushAvx2, LargestFiniteAvx2});
#endif
  loops.push_back({"portable", CountPlain, FlushPlain, LargestFinitePlain});
  return loops;
}

const Loops& FastestLoops() {
  static const Loops loops = SupportedLoops().front();
  return loops;
}

}  // namespace haq::calib::internal
