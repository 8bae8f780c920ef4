#include "core/calib/observer.h"

#include "core/quant/methods.h"

namespace haq::calib {

std::vector<std::string> MethodNames() { return quant::MethodNames(); }

Status CheckMethod(std::string_view method) { return quant::CheckMethod(method); }

Result<quant::Range> ChooseRange(std::string_view method, const TensorSummary& summary,
                                 const ChoiceContext& context) {
  HAQ_ASSIGN_OR_RETURN(const quant::RangeMethod parsed, quant::ParseRangeMethod(method));
  HAQ_RETURN_IF_ERROR(summary.Check());
  switch (parsed) {
    case quant::RangeMethod::kRedistribution:
      return RedistributionRange(Distribution(summary), context);
    case quant::RangeMethod::kMinMax:
      return quant::Range{summary.low(), summary.high()};
    case quant::RangeMethod::kMovingMinMax:
      return summary.moving_range();
    case quant::RangeMethod::kHistogram:
      return HistogramRange(Distribution(summary));
    case quant::RangeMethod::kPercentile:
      return PercentileRange(Distribution(summary));
    case quant::RangeMethod::kKl:
      return EntropyRange(Distribution(summary));
  }
  return InternalError("method \"{}\" has no implementation", method);
}

}  // namespace haq::calib
