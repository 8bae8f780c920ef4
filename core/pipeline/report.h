// The job's report as JSON; docs/report.md lists its fields. Private to core/pipeline.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/correct/equalize.h"
#include "core/eval/accuracy.h"
#include "core/ir/graph.h"
#include "core/lower/lower.h"
#include "core/pipeline/diagnosis.h"
#include "core/pipeline/pipeline.h"
#include "core/pipeline/rounding.h"
#include "core/pipeline/sensitivity.h"
#include "core/pipeline/speed.h"
#include "core/pipeline/tensor_figures.h"
#include "core/pipeline/wide.h"

namespace haq::pipeline {

struct ReportInputs {
  const Options& options;
  const ir::Graph& graph;
  const lower::Lowered& lowered;
  const eval::Comparison& comparison;
  const std::vector<quant::Range>& observed;  // by value
  const std::vector<double>& layer_sqnr_db;   // by decision
  const std::vector<std::string>& warnings;
  const std::vector<TensorFigures>& figures;  // by decision
  const Sensitivity& sensitivity;
  const std::vector<Finding>& findings;
  const WideOutcome& wide;
  const std::optional<Speed>& speed;
  const std::vector<correct::EqualizedPair>& equalized;
  const std::vector<LearnedLayer>& learned_layers;
  int64_t layer_sqnr_images = 0;
  int64_t calibration_images = 0;
  double calibration_seconds = 0;
  double evaluation_seconds = 0;
  int64_t artifact_bytes = 0;
};
std::string MakeReport(const ReportInputs& inputs);

// {"top1", "top1_interval", "top5"}
nlohmann::json AccuracyToJson(double top1, const eval::Interval& top1_interval, double top5);

// What the artifact says about its making: without times, so that the same job gives the same
// bytes.
std::string MakeMetadata(const Options& options, const lower::Lowered& lowered,
                         const WideOutcome& wide, const std::string& source_sha256,
                         int64_t calibration_images, const ir::Graph& graph,
                         const std::vector<quant::Range>& observed);

// The largest resident set of this process so far.
int64_t PeakRssBytes();

}  // namespace haq::pipeline
