#include <algorithm>

#include "core/calib/observer.h"
#include "core/data/preprocess.h"
#include "core/pipeline/pipeline.h"
#include "core/quant/params.h"
#include "core/quant/wide.h"

namespace haq::pipeline {

quant::Corrections Resolve(const Options& options) {
  return *quant::ResolveCorrections(options.preset, *quant::ParseWeightGranularity(options.weights),
                                    {options.bias_correction, options.equalize, options.adaround});
}

Status Validate(const Options& options) {
  HAQ_RETURN_IF_ERROR(calib::CheckMethod(options.method));
  HAQ_RETURN_IF_ERROR(quant::ParseSchemePolicy(options.scheme).status());
  HAQ_RETURN_IF_ERROR(quant::ParseWeightGranularity(options.weights).status());
  HAQ_RETURN_IF_ERROR(quant::CheckPreset(options.preset));
  HAQ_RETURN_IF_ERROR(quant::CheckWide({options.wide_count, options.wide_tensors}));
  if (options.input_shape.size() != 3 ||
      *std::min_element(options.input_shape.begin(), options.input_shape.end()) < 1) {
    return InvalidField("input_shape", "must be three positive numbers C,H,W, got [{}]",
                        fmt::join(options.input_shape, ", "));
  }
  if (options.limit_calibration < 0) {
    return InvalidField("limit_calibration", "must not be negative, got {}",
                        options.limit_calibration);
  }
  if (options.limit_evaluation < 0) {
    return InvalidField("limit_evaluation", "must not be negative, got {}",
                        options.limit_evaluation);
  }
  return data::Preprocess::FromJson(options.preprocess_json).status();
}

}  // namespace haq::pipeline
