#include "client/comparison/certainty.h"

#include <cmath>

namespace haq::comparison {
namespace {

// Figures are fractions of whole images.
eval::Interval IntervalOfShare(double share, int64_t images) {
  if (std::isnan(share)) return {kNoFigure, kNoFigure};
  return eval::WilsonInterval(std::llround(share * static_cast<double>(images)), images);
}

}  // namespace

eval::Interval Top1Interval(const Outcome& outcome, const Row& row) {
  return IntervalOfShare(outcome.top1, row.labelled_images);
}

eval::Interval AgreementInterval(const Outcome& outcome, const Row& row) {
  return IntervalOfShare(outcome.agreement, row.images);
}

eval::Interval SqnrInterval(const Outcome& outcome) {
  if (outcome.signal.size() != outcome.noise.size()) return {kNoFigure, kNoFigure};
  return eval::DecibelRatioInterval(outcome.signal, outcome.noise);
}

Top1Comparison CompareTop1(const Row& row, const Outcome& first, const Outcome& second) {
  Top1Comparison comparison;
  const size_t images = row.labels.size();
  if (!first.ok() || !second.ok() || first.classes.size() != images ||
      second.classes.size() != images) {
    return comparison;
  }
  eval::PairedCounts counts;
  for (size_t i = 0; i < images; ++i) {
    if (row.labels[i] < 0) continue;
    const bool first_right = first.classes[i] == row.labels[i];
    const bool second_right = second.classes[i] == row.labels[i];
    ++counts.images;
    counts.only_first += first_right && !second_right;
    counts.only_second += second_right && !first_right;
  }
  if (counts.images == 0) return comparison;
  comparison.only_first = counts.only_first;
  comparison.only_second = counts.only_second;
  comparison.difference = {double(counts.only_second - counts.only_first) / double(counts.images),
                           eval::PairedDifferenceInterval(counts)};
  comparison.p_value = eval::McNemarExact(counts);
  return comparison;
}

Difference CompareSqnr(const Outcome& first, const Outcome& second) {
  if (first.noise.size() != second.noise.size()) return {};
  const eval::Interval interval = eval::DecibelRatioInterval(first.noise, second.noise);
  if (std::isnan(interval.low)) return {};
  return {second.sqnr_db - first.sqnr_db, interval};
}

}  // namespace haq::comparison
