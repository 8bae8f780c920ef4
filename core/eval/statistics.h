// How sure a measured accuracy is: intervals and the paired test of two classifiers on the same
// images.
#pragma once

#include <cstdint>
#include <span>

namespace haq::eval {

struct Interval {
  double low = 0, high = 0;
};

// 95 % interval of a share of `successes` in `trials`: E. B. Wilson, "Probable Inference, the Law
// of Succession, and Statistical Inference", JASA 22 (1927). NaN for no trials.
Interval WilsonInterval(int64_t successes, int64_t trials);

// Two classifiers on the same images, of which each is right or wrong on its own.
struct PairedCounts {
  int64_t images = 0;
  int64_t only_first = 0;   // the first is right and the second wrong
  int64_t only_second = 0;  // the other way round
};

// 95 % interval of the second's share of right answers minus the first's: the Wald interval with
// the Laplace adjustment of D. G. Bonett and R. M. Price, "Adjusted Wald Confidence Interval for a
// Difference of Binomial Proportions Based on Paired Data", JEBS 37 (2012). NaN for no images.
Interval PairedDifferenceInterval(const PairedCounts& counts);

// Two-sided p-value of McNemar's exact test (Q. McNemar, Psychometrika 12, 1947): how likely images
// on which just one is right would be shared out at least as unevenly by a fair coin. 1 when there
// are none.
double McNemarExact(const PairedCounts& counts);

// 95 % interval of 10 log10(sum of numerators / sum of denominators), as far as it depends on which
// images were drawn: the ratio's variance to first order (W. G. Cochran, "Sampling Techniques",
// 1977, chapter 6), on the logarithm. One value of each for every image. With signal and noise it
// is the SQNR's; with the noise of two quantized networks on the same images that of the decibels
// that the second is better. NaN for fewer than two images or a sum of 0.
Interval DecibelRatioInterval(std::span<const float> numerators,
                              std::span<const float> denominators);

}  // namespace haq::eval
