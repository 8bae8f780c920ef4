// The grid on which a tensor's values are counted, and the counts.
//
// The grid follows from one number, the exponent: the smallest e with |x| < 2^e for all values. Per
// sign, the octaves below 2^e are cut into 4096, 2048, ..., 64 cells of one width, 2^(e - 13); the
// next 16 octaves have 64 cells each, and what is smaller still shares one cell. So absolute
// resolution is an eighth to a sixteenth of an 8-bit step of the whole range, and one huge value
// does not blur the small ones. Every cell of a grid is a union of cells of the grid with a smaller
// exponent. Counts are therefore exact and a function of the set of values alone: neither the order
// of the values nor how they were cut into pieces leaves a trace.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace haq::calib {

namespace internal {
struct GridConstants {
  uint32_t end_bits;          // bits of 2^exponent; infinity for kLargestExponent
  float scale;                // linear cells per unit
  uint32_t linear_from_bits;  // bits of the smallest magnitude in a linear cell
  int32_t octave_key;         // those bits shifted by kOctaveShift
};
}  // namespace internal

class CellGrid {
 public:
  static constexpr int kOctaveCells = 64;    // per octave, below those of equal width
  static constexpr int kOctaves = 16;        // that have kOctaveCells
  static constexpr int kLinearCells = 8192;  // what the equal width would make of [0, 2^exponent)
  static constexpr int kFirstLinear = 1 + kOctaves * kOctaveCells;
  static constexpr int kSideCells = kFirstLinear + kLinearCells - kOctaveCells;
  static constexpr int kCells = 2 * kSideCells;  // index: magnitude's, plus kSideCells if negative
  static constexpr int kSmallestExponent = -100, kLargestExponent = 128;

  explicit CellGrid(int exponent = kSmallestExponent);
  // The smallest exponent, at least kSmallestExponent, with |x| < 2^exponent. x is finite.
  static int ExponentFor(float x);

  int exponent() const { return exponent_; }
  // x is finite, |x| < 2^exponent. Zero of either sign has index 0.
  int IndexOf(float x) const;
  // Smallest magnitude of a cell, `index` in [0, kSideCells]; kSideCells gives 2^exponent.
  double LowerEdge(int index) const;

  const internal::GridConstants& constants() const { return constants_; }

 private:
  int exponent_;
  internal::GridConstants constants_;
};

// The smallest exponent whose grid has room for every finite value.
int ExponentForFinite(std::span<const float> values);

// Exact counts per cell. Not thread-safe.
class CellCounts {
 public:
  const CellGrid& grid() const { return grid_; }
  // By index; empty while nothing was counted.
  std::span<const uint64_t> counts() const { return counts_; }

  // Makes room for |x| < 2^exponent; a smaller exponent than now is ignored.
  void GrowTo(int exponent);
  void Add(int index, uint64_t count) { counts_[index] += count; }
  void Add(const CellCounts& other);

 private:
  friend class LaneCounters;
  CellGrid grid_;
  std::vector<uint64_t> counts_;
};

// Some values from the beginning of a span, and what they are.
struct Tally {
  size_t size = 0;
  uint32_t zeros = 0;
  float low = std::numeric_limits<float>::infinity();  // above high where there are no values
  float high = -std::numeric_limits<float>::infinity();

  void Append(const Tally& next);
};

// Counters of one thread between values and CellCounts. Several lanes, because increments of the
// same cell right after each other would wait for each other, and activations repeat.
class LaneCounters {
 public:
  // Values are taken kChunk at a time.
  static constexpr size_t kChunk = 128;

  // Counts the values of the chunks in front of the first one that has a value which is not finite
  // or not within the grid; all of them if there is none. Fewer than 2^32 in all before FlushInto;
  // the grid is that of the counts to be flushed into.
  Tally Count(std::span<const float> values, const CellGrid& grid);
  void FlushInto(CellCounts& counts);

 private:
  std::vector<uint32_t> lanes_;
  int positive_end_ = 0, negative_end_ = 0;  // beyond these indices a side has counted nothing
};

}  // namespace haq::calib
