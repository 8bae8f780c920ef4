#include "core/calib/distribution.h"

#include <algorithm>
#include <cmath>

namespace haq::calib {
namespace {

constexpr int kSide = CellGrid::kSideCells;
constexpr int kLevels = 256;

}  // namespace

Distribution::Distribution(const TensorSummary& summary)
    : grid_(summary.cells().grid()),
      low_(summary.low()),
      high_(summary.high()),
      count_(static_cast<double>(summary.count())),
      zeros_(static_cast<double>(summary.zeros())),
      cells_(CellGrid::kCells + 1) {
  Moments sum;
  for (int i = 0; i < CellGrid::kCells; ++i) {
    const bool negative = i < kSide;
    const int magnitude = negative ? kSide - 1 - i : i - kSide;
    const double near = grid_.LowerEdge(magnitude), far = grid_.LowerEdge(magnitude + 1);
    uint64_t count = summary.cells().counts()[negative ? kSide + magnitude : magnitude];
    if (i == kSide) count -= summary.zeros();
    Cell& cell = cells_[i];
    cell.low = std::clamp(negative ? -far : near, low_, high_);
    cell.high = std::clamp(negative ? -near : far, low_, high_);
    cell.count = static_cast<double>(count);
    cell.before = sum;
    const double l = cell.low, h = cell.high;
    sum.count += cell.count;
    sum.sum += cell.count * (l + h) / 2;
    sum.squares += cell.count * (l * l + l * h + h * h) / 3;
  }
  cells_.back() = {high_, high_, 0, sum};
}

Distribution::Moments Distribution::MomentsBelow(double x) const {
  if (x <= low_) return {};
  if (x > high_) return cells_.back().before;
  // low_ < x <= high_, so x is on the grid as far as it is a float; its cell or a neighbour holds
  // it.
  int at = grid_.IndexOf(static_cast<float>(x));
  at = at >= kSide ? kSide - 1 - (at - kSide) : kSide + at;
  const Cell& cell = cells_[at];
  const double l = cell.low, width = cell.high - l;
  if (cell.count == 0 || x <= l) return cell.before;
  const double part = width > 0 ? std::min((x - l) / width, 1.0) : 1;
  const double h = l + part * width;
  const double count = part * cell.count;
  return {cell.before.count + count, cell.before.sum + count * (l + h) / 2,
          cell.before.squares + count * (l * l + l * h + h * h) / 3};
}

double Distribution::SquaresAround(double center, const Moments& from, const Moments& to) const {
  const double count = to.count - from.count;
  if (count <= 0) return 0;
  // Rounding must not make it negative.
  return std::max(0.0, (to.squares - from.squares) - 2 * center * (to.sum - from.sum) +
                           center * center * count);
}

std::vector<double> Distribution::Histogram(double begin, double end, int bins) const {
  std::vector<double> histogram(bins);
  const double width = (end - begin) / bins;
  double before = std::round(CountBelow(begin));
  for (int i = 0; i < bins; ++i) {
    // Values at the very end belong to the last bin.
    const double upper = i + 1 < bins ? begin + (i + 1) * width
                                      : std::nextafter(end, std::numeric_limits<double>::max());
    const double below = std::round(CountBelow(upper));
    histogram[i] = below - before;
    before = below;
  }
  return histogram;
}

double Distribution::Quantile(double fraction) const {
  const double wanted = fraction * count_;
  const double negative = cells_[kSide].before.count;
  if (wanted > negative && wanted <= negative + zeros_) return 0;
  const double rank = wanted > negative ? wanted - zeros_ : wanted;
  // The last cell that has fewer than `rank` values before it.
  const auto after = std::partition_point(
      cells_.begin(), cells_.end(), [rank](const Cell& cell) { return cell.before.count < rank; });
  if (after == cells_.begin()) return low_;
  const Cell& cell = *std::prev(after);
  if (cell.count == 0) return cell.low;
  const double part = std::min((rank - cell.before.count) / cell.count, 1.0);
  return cell.low + part * (cell.high - cell.low);
}

double Distribution::ExpectedSquaredError(double scale, int zero_point) const {
  double error = 0;
  Moments from;
  for (int k = 0; k < kLevels; ++k) {
    const double level = scale * (k - zero_point);
    const Moments to = k + 1 < kLevels ? MomentsBelow(level + scale / 2) : cells_.back().before;
    error += SquaresAround(level, from, to);
    from = to;
  }
  return error / count_;
}

double Distribution::ClippingErrorAbove(double end) const {
  return SquaresAround(end, MomentsBelow(end), cells_.back().before) / count_;
}

double Distribution::ClippingErrorBelow(double begin) const {
  return SquaresAround(begin, {}, MomentsBelow(begin)) / count_;
}

double ExpectedSquaredError(const TensorSummary& summary, double scale, int zero_point) {
  return Distribution(summary).ExpectedSquaredError(scale, zero_point);
}

}  // namespace haq::calib
