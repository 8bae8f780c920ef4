#include "core/calib/range_methods.h"

namespace haq::calib {

quant::Range PercentileRange(const Distribution& distribution, double share) {
  const double cut = (1 - share) / 2;
  return {distribution.Quantile(cut), distribution.Quantile(1 - cut)};
}

}  // namespace haq::calib
