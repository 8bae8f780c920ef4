#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/calib/range_methods.h"

namespace haq::calib {
namespace {

constexpr int kBins = 2048;
constexpr int kLevels = 256;
constexpr double kMassStep = 1e-5;

double Cube(double x) { return x * x * x; }

// The mass of each bin is spread evenly and rounded to the centres of 256 levels over bins
// [first, last]. As in the original, a bin that several levels meet counts a whole level's error
// for each one but the first and the last, and one that lies in a single level counts the end of
// the level after it and the beginning before it, less that whole level.
double ApproximateSquaredError(const std::vector<double>& histogram, double bin_width, int first,
                               int last) {
  const double level_width = bin_width * (last - first + 1) / kLevels;
  const double half = level_width / 2;
  const double whole_level = 2 * Cube(half) / 3;
  const auto level_of = [&](double at) {
    return std::clamp(std::floor(at / level_width), 0.0, double{kLevels - 1});
  };
  double error = 0;
  for (int bin = 0; bin < kBins; ++bin) {
    const double begin = (bin - first) * bin_width, end = begin + bin_width;
    const double first_level = level_of(begin), last_level = level_of(end);
    const double before = begin - (first_level + 0.5) * level_width;
    const double after = end - (last_level + 0.5) * level_width;
    error += histogram[bin] / bin_width *
             ((Cube(half) - Cube(before)) / 3 + (last_level - first_level - 1) * whole_level +
              (Cube(after) + Cube(half)) / 3);
  }
  return error;
}

}  // namespace

quant::Range HistogramRange(const Distribution& distribution) {
  const double low = distribution.low(), high = distribution.high();
  if (low == high) return {low, high};
  const double bin_width = (high - low) / kBins;
  std::vector<double> histogram = distribution.Histogram(low, high, kBins);
  if (low <= 0 && high >= 0) {
    histogram[std::min(static_cast<int>(-low / bin_width), kBins - 1)] += distribution.zeros();
  }
  std::vector<double> cumulative(kBins);
  std::partial_sum(histogram.begin(), histogram.end(), cumulative.begin());
  const double total = cumulative.back();

  double alpha = 0, beta = 1;  // shares of the mass at which the range begins and ends
  int first = 0, last = kBins - 1;
  double least = std::numeric_limits<double>::infinity();
  while (alpha < beta) {
    const double next_alpha = alpha + kMassStep, next_beta = beta - kMassStep;
    int left = first, right = last;
    while (left < last && cumulative[left] < next_alpha * total) ++left;
    while (right > first && cumulative[right] > next_beta * total) --right;
    int next_first = first, next_last = last;
    if (left - first > last - right) {
      next_first = left;
      alpha = next_alpha;
    } else {
      next_last = right;
      beta = next_beta;
    }
    if (next_first == first && next_last == last) continue;
    const double error = ApproximateSquaredError(histogram, bin_width, next_first, next_last);
    if (error > least) break;
    least = error;
    first = next_first;
    last = next_last;
  }
  return {low + bin_width * first, low + bin_width * (last + 1)};
}

}  // namespace haq::calib
