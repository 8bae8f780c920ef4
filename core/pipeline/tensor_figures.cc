#include "core/pipeline/tensor_figures.h"

#include "core/calib/distribution.h"
#include "core/quant/methods.h"

namespace haq::pipeline {
namespace {

std::vector<int64_t> CountBins(const calib::TensorSummary& summary) {
  const auto bins = calib::Distribution(summary).Histogram(
      summary.low(), summary.high(), summary.low() < summary.high() ? kHistogramBins : 1);
  return {bins.begin(), bins.end()};
}

}  // namespace

Result<std::vector<TensorFigures>> MakeTensorFigures(const calib::Calibrator& calibrator,
                                                     const lower::Lowered& lowered,
                                                     const calib::ChoiceContext& context) {
  std::vector<TensorFigures> figures(lowered.decisions.size());
  for (size_t i = 0; i < figures.size(); ++i) {
    const auto& summary = calibrator.SummaryOf(lowered.decisions[i].value);
    figures[i].low = summary.low();
    figures[i].high = summary.high();
    figures[i].zeros = static_cast<int64_t>(summary.zeros());
    if (static_cast<int64_t>(i) < kMaxHistograms) figures[i].counts = CountBins(summary);
  }
  for (const std::string& method : quant::MethodNames()) {
    HAQ_ASSIGN_OR_RETURN(const auto ranges, calibrator.ChooseRanges(method, context));
    for (size_t i = 0; i < figures.size(); ++i) {
      figures[i].ranges.push_back(ranges[lowered.decisions[i].value]);
    }
  }
  return figures;
}

}  // namespace haq::pipeline
