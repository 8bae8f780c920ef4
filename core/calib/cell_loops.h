// The loop that every activation passes through, and what empties its counters, compiled for the
// instruction sets that matter. All of them give the same bits: the arithmetic is integer, but for
// a multiplication by a power of two.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "core/calib/cells.h"

namespace haq::calib::internal {

// A float's bits without the 17 lowest: sign, exponent, 6 bits of mantissa.
inline constexpr int kOctaveShift = 17;

// Orders like the floats; -0 comes just before 0, NaNs come last on the side of their sign.
inline int32_t KeyOf(float value) {
  const auto bits = std::bit_cast<int32_t>(value);
  return bits ^ static_cast<int32_t>(static_cast<uint32_t>(bits >> 31) >> 1);
}
inline float ValueOf(int32_t key) {
  return std::bit_cast<float>(key ^ static_cast<int32_t>(static_cast<uint32_t>(key >> 31) >> 1));
}

// CellGrid::IndexOf. The product is exact (a power of two) and used in [64, 8192) only.
[[gnu::always_inline]] inline int32_t IndexIn(const GridConstants& grid, float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t magnitude = bits & 0x7fffffff;
  const int32_t linear =
      static_cast<int32_t>(std::bit_cast<float>(magnitude) * grid.scale) - CellGrid::kOctaveCells;
  const int32_t octave = std::max(static_cast<int32_t>(magnitude >> kOctaveShift) - grid.octave_key,
                                  -CellGrid::kFirstLinear);
  const int32_t index =
      CellGrid::kFirstLinear + (magnitude >= grid.linear_from_bits ? linear : octave);
  const bool negative = bits > 0x80000000;  // and not -0
  return index + (negative ? CellGrid::kSideCells : 0);
}

inline constexpr int kLanes = 2;
// The counters behind the cells of a lane are spare: loops may increment them and nothing reads
// them.
inline constexpr size_t kSpareCounters = 32;
inline constexpr size_t kLaneStride = CellGrid::kCells + kSpareCounters;

struct Loops {
  const char* instruction_set;
  // LaneCounters::Count into kLanes arrays of counters, each kLaneStride after the one before.
  Tally (*count)(const float* values, size_t count, const GridConstants& grid, uint32_t* lanes);
  // Adds the sum over the lanes of the first `count` counters to counts, and clears them.
  void (*flush)(uint32_t* lanes, uint64_t* counts, size_t count);
  // The largest magnitude of the finite values; 0 of none.
  float (*largest_finite)(const float* values, size_t count);
};
// Those that this processor can run, the fastest first.
std::vector<Loops> SupportedLoops();
// The first of them.
const Loops& FastestLoops();

}  // namespace haq::calib::internal
