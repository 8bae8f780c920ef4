#include "core/calib/cells.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "core/calib/cell_loops.h"

namespace haq::calib {

CellGrid::CellGrid(int exponent) : exponent_(exponent) {
  constants_.end_bits = std::bit_cast<uint32_t>(std::ldexp(1.0f, exponent));
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

int ExponentForFinite(std::span<const float> values) {
  return CellGrid::ExponentFor(
      internal::FastestLoops().largest_finite(values.data(), values.size()));
}

void Tally::Append(const Tally& next) {
  size += next.size;
  zeros += next.zeros;
  low = std::min(low, next.low);
  high = std::max(high, next.high);
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

Tally LaneCounters::Count(std::span<const float> values, const CellGrid& grid) {
  lanes_.resize(internal::kLanes * internal::kLaneStride);
  const Tally tally =
      internal::FastestLoops().count(values.data(), values.size(), grid.constants(), lanes_.data());
  if (tally.size == 0) return tally;
  for (const float end : {tally.low, tally.high}) {
    int& side_end = end < 0 ? negative_end_ : positive_end_;
    side_end = std::max(side_end, grid.IndexOf(std::abs(end)) + 1);
  }
  // Zero, or the values next to it of one sign.
  positive_end_ = std::max(positive_end_, 1);
  return tally;
}

void LaneCounters::FlushInto(CellCounts& counts) {
  if (positive_end_ == 0) return;
  const auto flush = [&](int from, int& end) {
    internal::FastestLoops().flush(lanes_.data() + from, counts.counts_.data() + from,
                                   std::exchange(end, 0));
  };
  flush(0, positive_end_);
  flush(CellGrid::kSideCells, negative_end_);
}

}  // namespace haq::calib
