#include "client/plot/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace haq::plot {

Axis::Axis(double low, double high, double from, double to)
    : low_(low), high_(high), from_(from), to_(to) {
  if (!(high_ > low_)) {
    const double half = std::max(std::abs(low_) / 2, 0.5);
    low_ -= half;
    high_ = low_ + 2 * half;
  }
}

std::vector<double> Axis::Ticks(int count) const {
  const double rough = (high_ - low_) / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1, 2, 5}) {
    if (rough <= factor * power) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> ticks;
  const double slack = step * 1e-9;
  for (double i = std::ceil((low_ - slack) / step); i * step <= high_ + slack; ++i) {
    ticks.push_back(i * step + 0.0);  // no negative zero
  }
  return ticks;
}

std::vector<std::string> TickLabels(const std::vector<double>& ticks) {
  double largest = 0;
  for (const double tick : ticks) largest = std::max(largest, std::abs(tick));
  const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : largest;
  std::vector<std::string> labels;
  const bool plain = largest < 1e6 && step >= 1e-5;
  const int digits =
      step > 0 ? std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9))) : 0;
  for (const double tick : ticks) {
    labels.push_back(plain ? fmt::format("{:.{}f}", tick, digits) : fmt::format("{:.3g}", tick));
  }
  return labels;
}

std::string CountLabel(double count) {
  if (count >= 1e9) return fmt::format("{:.0f}G", count / 1e9);
  if (count >= 1e6) return fmt::format("{:.0f}M", count / 1e6);
  if (count >= 1e3) return fmt::format("{:.0f}k", count / 1e3);
  return fmt::format("{:.0f}", count);
}

std::string ShortNumber(double value) { return fmt::format("{:.4g}", value); }

}  // namespace haq::plot
