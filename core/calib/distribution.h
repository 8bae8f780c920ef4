// A summary as a distribution: what the methods that look at more than the extremes ask of it.
//
// Within a cell values are taken to be spread evenly (over the part of the cell between the lowest
// and the highest value seen); exact zeros stand apart. Every function is deterministic.
#pragma once

#include <cstdint>
#include <vector>

#include "core/calib/tensor_summary.h"

namespace haq::calib {

class Distribution {
 public:
  // `summary` has seen finite values only, at least one.
  explicit Distribution(const TensorSummary& summary);

  double low() const { return low_; }
  double high() const { return high_; }
  double count() const { return count_; }  // zeros included
  double zeros() const { return zeros_; }

  // How many of the values that are not zero lie below x.
  double CountBelow(double x) const { return MomentsBelow(x).count; }

  // Values in `bins` bins of equal width over [begin, end], those outside left out; zeros not
  // counted. Counts are whole: a cell that an edge divides gives each side a whole number.
  std::vector<double> Histogram(double begin, double end, int bins) const;

  // The x with a share of `fraction` of all values, zeros included, at or below it. fraction is in
  // [0, 1].
  double Quantile(double fraction) const;

  // Mean of (x - q(x))^2, where q rounds to the nearest of the 256 levels scale * (k - zero_point)
  // and moves what is beyond the end levels onto them.
  double ExpectedSquaredError(double scale, int zero_point) const;

  // Parts of that sum which are left when only values above `end` (below `begin`) had an error,
  // that of being moved there.
  double ClippingErrorAbove(double end) const;
  double ClippingErrorBelow(double begin) const;

 private:
  // Sums of 1, x, x^2 over values.
  struct Moments {
    double count = 0, sum = 0, squares = 0;
  };
  struct Cell {
    double low, high;  // where its values can be
    double count;
    Moments before;  // of all cells before it
  };
  Moments MomentsBelow(double x) const;
  double SquaresAround(double center, const Moments& from, const Moments& to) const;

  CellGrid grid_;
  double low_, high_, count_, zeros_;
  std::vector<Cell> cells_;  // all of the grid, in order of their values; one more at the end
};

// For one tensor at a time; keep a Distribution to ask more often.
double ExpectedSquaredError(const TensorSummary& summary, double scale, int zero_point);

}  // namespace haq::calib
