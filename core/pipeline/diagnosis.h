// Why the integer model loses what it loses, and what to do about it. Private to core/pipeline.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/calib/calibrator.h"
#include "core/ir/graph.h"
#include "core/lower/lower.h"
#include "core/pipeline/pipeline.h"
#include "core/pipeline/sensitivity.h"
#include "core/pipeline/tensor_figures.h"

namespace haq::pipeline {

struct Finding {
  std::string tensor;  // as the report names it; of weights, what their layer makes
  double share = 0;    // of the noise of all tensors and all weights, each by itself
  std::string finding;
  nlohmann::json figures;  // what was found, as numbers; docs/report.md
  std::string text;        // what was found, for people: the rest of a sentence
  std::string action;      // what to do, for people
};

struct DiagnosisInputs {
  const Options& options;
  const ir::Graph& graph;
  const lower::Lowered& lowered;
  const calib::Calibrator& calibrator;
  const std::vector<quant::Range>& observed;  // by value
  const std::vector<TensorFigures>& figures;  // by decision
  const Sensitivity& sensitivity;
};

// The largest share first.
//  "range_outlier"      the range is many times that of nearly all values
//  "saturation"         the evaluated images leave the range more often than the calibrated ones
//  "mismatched_scales"  an input of an add or a concatenation is much finer than the result
//  "resolution"         8 bits are few for this tensor, for none of the reasons above
//  "weight_spread"      one scale serves channels of very different size
//  "weights"            8 bits are few for these weights
//  "dead_channels"      output channels that are always zero; they make no noise, their share is 0
std::vector<Finding> Diagnose(const DiagnosisInputs& inputs);

// As the report has them.
nlohmann::json DiagnosisToJson(const std::vector<Finding>& findings);

}  // namespace haq::pipeline
