// How sure the figures of a table are: 95 % intervals, and paired tests between two networks that
// answered to the same images. Formulas and sources: core/eval/statistics.h.
#pragma once

#include "client/comparison/outcome.h"
#include "core/eval/statistics.h"

namespace haq::comparison {

eval::Interval Top1Interval(const Outcome& outcome, const Row& row);
eval::Interval AgreementInterval(const Outcome& outcome, const Row& row);
eval::Interval SqnrInterval(const Outcome& outcome);

// The second network beside the first. NaN where the images of either are not known.
struct Difference {
  double value = kNoFigure;  // the second's figure minus the first's
  eval::Interval interval{kNoFigure, kNoFigure};
};

// Top-1 over the labelled images, as a fraction.
struct Top1Comparison {
  Difference difference;
  int64_t only_first = 0, only_second = 0;  // images on which just that one is right
  double p_value = kNoFigure;               // McNemar, exact, two-sided
};
Top1Comparison CompareTop1(const Row& row, const Outcome& first, const Outcome& second);

// Decibels that the second is better. No figure beside FP32, or where either has no noise at all.
Difference CompareSqnr(const Outcome& first, const Outcome& second);

}  // namespace haq::comparison
