#include <algorithm>
#include <cmath>
#include <limits>

#include "core/calib/range_methods.h"

namespace haq::calib {
namespace {

constexpr int kLevels = 256;
// Below this float scales are denormal (quant::ChooseTensorParams stops there too).
constexpr double kSmallestScale = 1e-30;

struct Candidate {
  double scale = 0;
  int zero_point = 0;
  double error = std::numeric_limits<double>::infinity();

  quant::Range range() const {
    return {scale * (0 - zero_point), scale * (kLevels - 1 - zero_point)};
  }
};

// Searches one scheme. Coarse to fine, because the error has many shallow local minima (each level
// that falls on or beside a cluster of values makes one) on top of one broad valley.
class Search {
 public:
  explicit Search(const Distribution& distribution)
      : distribution_(distribution),
        low_(std::min(distribution.low(), 0.0)),
        high_(std::max(distribution.high(), 0.0)) {}

  Candidate Symmetric() {
    best_ = {};
    SearchScale(kLevels / 2, std::max(-low_ / (kLevels / 2), high_ / (kLevels / 2 - 1)));
    return best_;
  }

  Candidate Asymmetric() {
    best_ = {};
    if (low_ == 0) {
      SearchScale(0, high_ / (kLevels - 1));
    } else if (high_ == 0) {
      SearchScale(kLevels - 1, -low_ / (kLevels - 1));
    } else {
      SearchBothEnds();
      const Candidate symmetric = Search(*this).Symmetric();
      if (symmetric.error < best_.error) best_ = symmetric;
    }
    return best_;
  }

 private:
  static constexpr double kCoarseStep = 0.87;
  // Down to 6e-5 of an end: beyond that, giving up that side altogether costs next to nothing.
  static constexpr int kCoarseSteps = 70;

  void Try(double scale, int zero_point) {
    scale = static_cast<float>(scale);
    if (scale < kSmallestScale) return;
    const double error = distribution_.ExpectedSquaredError(scale, zero_point);
    if (error < best_.error) best_ = {scale, zero_point, error};
  }

  // As quant::ChooseTensorParams rounds.
  void TryEnds(double low, double high) {
    const auto scale = static_cast<float>((high - low) / (kLevels - 1));
    if (scale < kSmallestScale) return;
    const double zero_point = std::nearbyint(-low / scale);
    Try(scale, static_cast<int>(std::clamp(zero_point, 0.0, double{kLevels - 1})));
  }

  // No range that ends at `low` and `high` has a smaller error than this.
  double LeastError(double low, double high) const {
    return distribution_.ClippingErrorBelow(low) + distribution_.ClippingErrorAbove(high);
  }

  void SearchScale(int zero_point, double widest) {
    const auto least_error = [&](double scale) {
      return LeastError(scale * (0 - zero_point), scale * (kLevels - 1 - zero_point));
    };
    for (double scale = widest; scale >= kSmallestScale && least_error(scale) < best_.error;
         scale *= kCoarseStep) {
      Try(scale, zero_point);
    }
    RefineScale(0.12, 120);
    FinishScale();
  }

  void FinishScale() {
    for (const double part : {1e-3, 1e-4, 1e-5}) RefineScale(part, 10);
  }

  // Scales up to `part` away on either side, zero point kept.
  void RefineScale(double part, int steps) {
    const Candidate center = best_;
    for (int i = -steps; i <= steps; ++i) {
      if (i != 0) Try(center.scale * (1 + part * i / steps), center.zero_point);
    }
  }

  void SearchBothEnds() {
    const std::vector<double> lows = Coarse(low_), highs = Coarse(high_);
    // Along increasing sums of indices: likely candidates first, so that more are skipped later.
    for (size_t sum = 0; sum + 1 < lows.size() + highs.size(); ++sum) {
      for (size_t i = sum < highs.size() ? 0 : sum - highs.size() + 1; i < lows.size() && i <= sum;
           ++i) {
        if (LeastError(lows[i], highs[sum - i]) < best_.error) TryEnds(lows[i], highs[sum - i]);
      }
    }
    RefineEnds(0.1, 5);
    RefineEnds(0.02, 4);
    const int zero_point = best_.zero_point;
    const double width = best_.scale;
    for (int z = std::max(zero_point - 2, 0); z <= std::min(zero_point + 2, kLevels - 1); ++z) {
      for (int i = -25; i <= 25; ++i) Try(width * (1 + 0.025 * i / 25), z);
    }
    FinishScale();
  }

  // Ends from that of all values towards zero, until clipping there alone costs too much.
  std::vector<double> Coarse(double end) {
    TryEnds(low_, high_);
    std::vector<double> ends;
    double at = end;
    for (int i = 0; i < kCoarseSteps; ++i, at *= kCoarseStep) {
      const double clipping =
          end < 0 ? distribution_.ClippingErrorBelow(at) : distribution_.ClippingErrorAbove(at);
      if (clipping >= best_.error) break;
      ends.push_back(at);
    }
    return ends;
  }

  // The ends moved by up to `part` of themselves.
  void RefineEnds(double part, int steps) {
    const quant::Range center = best_.range();
    for (int i = -steps; i <= steps; ++i) {
      for (int j = -steps; j <= steps; ++j) {
        const double low = center.low * (1 + part * i / steps);
        const double high = center.high * (1 + part * j / steps);
        if (LeastError(low, high) < best_.error) TryEnds(low, high);
      }
    }
  }

  const Distribution& distribution_;
  const double low_, high_;
  Candidate best_;
};

bool WouldBecomeSymmetric(const quant::Range& range, const ChoiceContext& context) {
  const auto params = quant::ChooseTensorParams(range, context.policy, context.rule);
  return params.ok() && params->scheme == quant::TensorScheme::kSymmetric;
}

}  // namespace

quant::Range RedistributionRange(const Distribution& distribution, const ChoiceContext& context) {
  const quant::Range observed{std::min(distribution.low(), 0.0),
                              std::max(distribution.high(), 0.0)};
  if ((observed.high - observed.low) / (kLevels - 1) < kSmallestScale) return observed;
  Search search(distribution);
  if (context.policy == quant::SchemePolicy::kSymmetric) return search.Symmetric().range();
  const Candidate asymmetric = search.Asymmetric();
  if (context.policy == quant::SchemePolicy::kAsymmetric || observed.low == 0) {
    return asymmetric.range();
  }
  const Candidate symmetric = search.Symmetric();
  const double tolerance = std::pow(10, context.rule.symmetric_tolerance_db / 10);
  if (symmetric.error < tolerance * asymmetric.error ||
      WouldBecomeSymmetric(asymmetric.range(), context)) {
    return symmetric.range();
  }
  return asymmetric.range();
}

}  // namespace haq::calib
