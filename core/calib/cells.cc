#include "core/calib/cells.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "core/calib/cell_loops.h"

namespace haq::calib {

CellGrid::CellGrid(int exponent) : exponent_(exponent) {
  constants_.scale = std::ldexp(float{kLinearCells}, -exponent);
  constants_.linear_from_bits =
      std::bit_cast<uint32_t>(std::ldexp(float{kOctaveCells} / kLinearCells, exponent));
  constants_.octave_key =
      static_cast<int32_t>(constants_.linear_from_bits >> internal::kOctaveShift);
}

int CellGrid::ExponentFor(float x) {
  if (x == 0) return kSmallestExponent;
  return std::max(std::ilogb(x) + 1, kSmallestExponent);
}

int CellGrid::IndexOf(float x) const { return internal::IndexIn(constants_, x); }

double CellGrid::LowerEdge(int index) const {
  if (index == 0) return 0;
  if (index < kFirstLinear) {
    const auto key = static_cast<uint32_t>(constants_.octave_key - kFirstLinear + index);
    return std::bit_cast<float>(key << internal::kOctaveShift);
  }
  return std::ldexp(double(index - kFirstLinear + kOctaveCells) / kLinearCells, exponent_);
}

void CellGrid::IndicesOf(std::span<const float> values, int32_t* indices) const {
  internal::Indices(values.data(), values.size(), constants_, indices);
}

bool Scan::AllFinite() const {
  // Keys of -infinity and infinity, see internal::KeyOf.
  return low_key > internal::KeyOf(-INFINITY) && high_key < internal::KeyOf(INFINITY);
}
// + 0 turns -0 into 0.
float Scan::low() const { return internal::ValueOf(low_key) + 0.0f; }
float Scan::high() const { return internal::ValueOf(high_key) + 0.0f; }

Scan ScanValues(std::span<const float> values) {
  Scan scan{INT32_MAX, INT32_MIN, 0};
  internal::Extremes(values.data(), values.size(), &scan.low_key, &scan.high_key, &scan.zeros);
  return scan;
}

void CellCounts::GrowTo(int exponent) {
  if (counts_.empty()) {
    counts_.resize(CellGrid::kCells);
    grid_ = CellGrid(exponent);
    return;
  }
  if (exponent <= grid_.exponent()) return;
  const CellGrid grown(exponent);
  std::vector<uint64_t> counts(CellGrid::kCells);
  for (int i = 0; i < CellGrid::kSideCells; ++i) {
    const int to = grown.IndexOf(static_cast<float>(grid_.LowerEdge(i)));
    counts[to] += counts_[i];
    counts[CellGrid::kSideCells + to] += counts_[CellGrid::kSideCells + i];
  }
  counts_ = std::move(counts);
  grid_ = grown;
}

void CellCounts::Add(const CellCounts& other) {
  if (other.counts_.empty()) return;
  GrowTo(other.grid_.exponent());
  if (other.grid_.exponent() < grid_.exponent()) {
    CellCounts grown = other;
    grown.GrowTo(grid_.exponent());
    return Add(grown);
  }
  for (int i = 0; i < CellGrid::kCells; ++i) counts_[i] += other.counts_[i];
}

void LaneCounters::Count(std::span<const float> values, float low, float high,
                         const CellGrid& grid) {
  static_assert(internal::kLanes == 4);
  lanes_.resize(internal::kLanes * CellGrid::kCells);
  for (const int index : {grid.IndexOf(low), grid.IndexOf(high)}) {
    const bool negative = index >= CellGrid::kSideCells;
    int& end = negative ? negative_end_ : positive_end_;
    end = std::max(end, index + 1 - (negative ? CellGrid::kSideCells : 0));
  }
  // Zero, or the values next to it of one sign.
  positive_end_ = std::max(positive_end_, 1);
  uint32_t* const lane = lanes_.data();
  while (!values.empty()) {
    const std::span<const float> chunk = values.first(std::min(values.size(), kChunk));
    values = values.subspan(chunk.size());
    grid.IndicesOf(chunk, indices_.data());
    size_t i = 0;
    for (; i + internal::kLanes <= chunk.size(); i += internal::kLanes) {
      ++lane[indices_[i]];
      ++lane[CellGrid::kCells + indices_[i + 1]];
      ++lane[2 * CellGrid::kCells + indices_[i + 2]];
      ++lane[3 * CellGrid::kCells + indices_[i + 3]];
    }
    for (; i < chunk.size(); ++i) ++lane[indices_[i]];
  }
}

void LaneCounters::FlushInto(CellCounts& counts) {
  if (positive_end_ == 0) return;
  const auto flush = [&](int from, int& end) {
    internal::FlushLanes(lanes_.data() + from, CellGrid::kCells, counts.counts_.data() + from,
                         std::exchange(end, 0));
  };
  flush(0, positive_end_);
  flush(CellGrid::kSideCells, negative_end_);
}

}  // namespace haq::calib
