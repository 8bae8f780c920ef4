#include "core/eval/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace haq::eval {
namespace {

constexpr double kZ95 = 1.959963984540054;  // of the normal distribution, two-sided 5 %
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

}  // namespace

Interval WilsonInterval(int64_t successes, int64_t trials) {
  if (trials <= 0) return {kNaN, kNaN};
  const double n = static_cast<double>(trials), p = static_cast<double>(successes) / n;
  const double z2 = kZ95 * kZ95;
  const double center = (p + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kZ95 * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n);
  // Exactly 0 and 1 at the ends, which rounding would miss.
  return {successes == 0 ? 0 : center - half, successes == trials ? 1 : center + half};
}

Interval PairedDifferenceInterval(const PairedCounts& counts) {
  if (counts.images <= 0) return {kNaN, kNaN};
  const double n = static_cast<double>(counts.images) + 2;
  const double first = (static_cast<double>(counts.only_first) + 1) / n;
  const double second = (static_cast<double>(counts.only_second) + 1) / n;
  const double difference = second - first;
  const double half = kZ95 * std::sqrt((first + second - difference * difference) / n);
  return {std::max(difference - half, -1.0), std::min(difference + half, 1.0)};
}

double McNemarExact(const PairedCounts& counts) {
  const int64_t fewer = std::min(counts.only_first, counts.only_second);
  const int64_t n = counts.only_first + counts.only_second;
  if (counts.only_first == counts.only_second) return 1;
  // By logarithms, since binomial coefficients of thousands overflow.
  const double log_coin = static_cast<double>(n) * std::log(0.5);
  double tail = 0;
  for (int64_t k = 0; k <= fewer; ++k) {
    tail += std::exp(std::lgamma(double(n + 1)) - std::lgamma(double(k + 1)) -
                     std::lgamma(double(n - k + 1)) + log_coin);
  }
  return std::min(2 * tail, 1.0);
}

Interval DecibelRatioInterval(std::span<const float> numerators,
                              std::span<const float> denominators) {
  const double upper = std::accumulate(numerators.begin(), numerators.end(), 0.0);
  const double lower = std::accumulate(denominators.begin(), denominators.end(), 0.0);
  if (numerators.size() < 2 || upper <= 0 || lower <= 0) return {kNaN, kNaN};
  double squares = 0;
  for (size_t i = 0; i < numerators.size(); ++i) {
    const double influence = numerators[i] / upper - denominators[i] / lower;
    squares += influence * influence;
  }
  const double n = static_cast<double>(numerators.size());
  const double decibel = 10 / std::log(10.0);
  const double center = decibel * std::log(upper / lower);
  const double half = kZ95 * decibel * std::sqrt(squares * n / (n - 1));
  return {center - half, center + half};
}

}  // namespace haq::eval
