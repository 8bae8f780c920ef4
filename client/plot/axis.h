// Scales: from values to places on a canvas, with round numbers to mark.
#pragma once

#include <string>
#include <vector>

namespace haq::plot {

// Linear between two values and two places.
class Axis {
 public:
  // Places `from` and `to` in points; a range without extent is widened.
  Axis(double low, double high, double from, double to);

  double At(double value) const { return from_ + (value - low_) / (high_ - low_) * (to_ - from_); }
  double low() const { return low_; }
  double high() const { return high_; }
  // Multiples of 1, 2 or 5 times a power of ten within the range, about `count` of them.
  std::vector<double> Ticks(int count) const;

 private:
  double low_, high_, from_, to_;
};

// With the digits that the step between `ticks` needs: "0.25" beside "0.50".
std::vector<std::string> TickLabels(const std::vector<double>& ticks);

// "1", "10", "1k", "10M" of a power of ten.
std::string CountLabel(double count);

// Four digits: "0.01235", "12.35", "-3.4e+05".
std::string ShortNumber(double value);

}  // namespace haq::plot
