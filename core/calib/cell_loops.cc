#include "core/calib/cell_loops.h"

namespace haq::calib::internal {
namespace {

[[gnu::always_inline]] inline void ExtremesBody(const float* values, size_t count, int32_t* low_key,
                                                int32_t* high_key, uint32_t* zeros) {
  int32_t low = *low_key, high = *high_key;
  uint32_t zero = *zeros;
  for (size_t i = 0; i < count; ++i) {
    const int32_t key = KeyOf(values[i]);
    low = std::min(low, key);
    high = std::max(high, key);
    zero += (std::bit_cast<uint32_t>(values[i]) << 1) == 0;
  }
  *low_key = low;
  *high_key = high;
  *zeros = zero;
}

[[gnu::always_inline]] inline void IndicesBody(const float* values, size_t count,
                                               GridConstants grid, int32_t* indices) {
  for (size_t i = 0; i < count; ++i) indices[i] = IndexIn(grid, values[i]);
}

[[gnu::always_inline]] inline void FlushBody(uint32_t* lanes, size_t stride, uint64_t* counts,
                                             size_t count) {
  for (size_t i = 0; i < count; ++i) {
    uint64_t sum = 0;
    for (int lane = 0; lane < kLanes; ++lane) sum += lanes[lane * stride + i];
    counts[i] += sum;
  }
  for (int lane = 0; lane < kLanes; ++lane) std::fill_n(lanes + lane * stride, count, 0);
}

using ExtremesFunction = void (*)(const float*, size_t, int32_t*, int32_t*, uint32_t*);
using IndicesFunction = void (*)(const float*, size_t, GridConstants, int32_t*);
using FlushFunction = void (*)(uint32_t*, size_t, uint64_t*, size_t);
struct Loops {
  ExtremesFunction extremes;
  IndicesFunction indices;
  FlushFunction flush;
};

void ExtremesPlain(const float* values, size_t count, int32_t* low, int32_t* high,
                   uint32_t* zeros) {
  ExtremesBody(values, count, low, high, zeros);
}
void IndicesPlain(const float* values, size_t count, GridConstants grid, int32_t* indices) {
  IndicesBody(values, count, grid, indices);
}
void FlushPlain(uint32_t* lanes, size_t stride, uint64_t* counts, size_t count) {
  FlushBody(lanes, stride, counts, count);
}

#if defined(__x86_64__)
#define HAQ_AVX2 [[gnu::target("avx2")]]
#define HAQ_AVX512 [[gnu::target("avx512f,avx512dq,avx512vl,avx512bw")]]

HAQ_AVX2 void ExtremesAvx2(const float* values, size_t count, int32_t* low, int32_t* high,
                           uint32_t* zeros) {
  ExtremesBody(values, count, low, high, zeros);
}
HAQ_AVX2 void IndicesAvx2(const float* values, size_t count, GridConstants grid, int32_t* indices) {
  IndicesBody(values, count, grid, indices);
}
HAQ_AVX2 void FlushAvx2(uint32_t* lanes, size_t stride, uint64_t* counts, size_t count) {
  FlushBody(lanes, stride, counts, count);
}
HAQ_AVX512 void ExtremesAvx512(const float* values, size_t count, int32_t* low, int32_t* high,
                               uint32_t* zeros) {
  ExtremesBody(values, count, low, high, zeros);
}
HAQ_AVX512 void IndicesAvx512(const float* values, size_t count, GridConstants grid,
                              int32_t* indices) {
  IndicesBody(values, count, grid, indices);
}
HAQ_AVX512 void FlushAvx512(uint32_t* lanes, size_t stride, uint64_t* counts, size_t count) {
  FlushBody(lanes, stride, counts, count);
}

Loops ChooseLoops() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")) {
    return {ExtremesAvx512, IndicesAvx512, FlushAvx512};
  }
  if (__builtin_cpu_supports("avx2")) return {ExtremesAvx2, IndicesAvx2, FlushAvx2};
  return {ExtremesPlain, IndicesPlain, FlushPlain};
}
#else
Loops ChooseLoops() { return {ExtremesPlain, IndicesPlain, FlushPlain}; }
#endif

const Loops& Chosen() {
  static const Loops loops = ChooseLoops();
  return loops;
}

}  // namespace

void Extremes(const float* values, size_t count, int32_t* low_key, int32_t* high_key,
              uint32_t* zeros) {
  Chosen().extremes(values, count, low_key, high_key, zeros);
}

void Indices(const float* values, size_t count, GridConstants grid, int32_t* indices) {
  Chosen().indices(values, count, grid, indices);
}

void FlushLanes(uint32_t* lanes, size_t stride, uint64_t* counts, size_t count) {
  Chosen().flush(lanes, stride, counts, count);
}

}  // namespace haq::calib::internal
