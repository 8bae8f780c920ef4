#include <algorithm>
#include <cmath>
#include <limits>

#include "core/calib/range_methods.h"

namespace haq::calib {
namespace {

constexpr int kBins = 2048;  // per side of zero that has values
constexpr int kLevels = 256;
// Stands for the probability of what the quantized distribution cannot produce; ONNX Runtime's.
constexpr double kSmoothing = 1e-4;

double TimesLog(double x) { return x > 0 ? x * std::log(x) : 0; }

class EntropySearch {
 public:
  explicit EntropySearch(std::vector<double> histogram)
      : histogram_(std::move(histogram)),
        mass_(histogram_.size() + 1),
        occupied_(histogram_.size() + 1),
        mass_log_mass_(histogram_.size() + 1) {
    for (size_t i = 0; i < histogram_.size(); ++i) {
      mass_[i + 1] = mass_[i] + histogram_[i];
      occupied_[i + 1] = occupied_[i] + (histogram_[i] > 0);
      mass_log_mass_[i + 1] = mass_log_mass_[i] + TimesLog(histogram_[i]);
    }
  }

  // Kullback-Leibler divergence of bins [begin, end), with what is outside moved onto the end bins,
  // from those bins in 256 levels.
  double Divergence(int begin, int end) const {
    const double below = mass_[begin], above = mass_.back() - mass_[end];
    const double inside = mass_[end] - mass_[begin];
    if (inside <= 0) return std::numeric_limits<double>::infinity();
    const double first = histogram_[begin], last = histogram_[end - 1];
    double sum = mass_log_mass_[end] - mass_log_mass_[begin];
    sum += TimesLog(first + below) - TimesLog(first) + TimesLog(last + above) - TimesLog(last);
    for (int level = 0; level < kLevels; ++level) {
      const int from = begin + level * (end - begin) / kLevels;
      const int to = begin + (level + 1) * (end - begin) / kLevels;
      double moved = 0, newly_occupied = 0;
      if (level == 0) {
        moved += below;
        newly_occupied += first == 0 && below > 0;
      }
      if (level == kLevels - 1) {
        moved += above;
        newly_occupied += last == 0 && above > 0;
      }
      const double mass = mass_[to] - mass_[from];
      if (mass + moved <= 0) continue;
      const double each = mass / (occupied_[to] - occupied_[from] + newly_occupied);
      sum -= (mass + moved) * std::log(std::max(each, kSmoothing));
    }
    return sum / mass_.back() + std::log(inside / mass_.back());
  }

 private:
  std::vector<double> histogram_;
  std::vector<double> mass_, occupied_, mass_log_mass_;  // sums over the bins before
};

}  // namespace

quant::Range EntropyRange(const Distribution& distribution) {
  const double low = distribution.low(), high = distribution.high();
  const double reach = std::max(-low, high);
  if (distribution.zeros() == distribution.count()) return {0, 0};
  // Bins over [-reach, reach], or the side of it that has values.
  const int bins_below = low < 0 ? kBins : 0, bins_above = high > 0 ? kBins : 0;
  const EntropySearch search(
      distribution.Histogram(low < 0 ? -reach : 0, high > 0 ? reach : 0, bins_below + bins_above));
  // As many bins as levels at least.
  const int fewest = low < 0 && high > 0 ? kLevels / 2 : kLevels;
  double least = std::numeric_limits<double>::infinity();
  int best = kBins;
  for (int i = fewest; i <= kBins; ++i) {
    const double divergence = search.Divergence(bins_below - std::min(bins_below, i),
                                                bins_below + std::min(bins_above, i));
    if (divergence >= least) continue;
    least = divergence;
    best = i;
  }
  const double threshold = reach * best / kBins;
  return {std::clamp(-threshold, std::min(low, 0.0), 0.0),
          std::clamp(threshold, 0.0, std::max(high, 0.0))};
}

}  // namespace haq::calib
