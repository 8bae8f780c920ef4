// What `haq table` was asked to compare: its options, checked, and what the server knows of the
// models and datasets.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/lib/client.h"
#include "core/base/status.h"

namespace haq::client {

struct TableOptions {
  std::string models, calibration, evaluation;
  std::string methods = "moving_minmax,minmax,histogram,redistribution";
  std::string preset, scheme, weights;  // empty: the defaults of core/quant
  int64_t limit_calibration = 0, limit_evaluation = 0;
  std::string pytorch = "auto";  // or "off", or a program
  std::string format = "text", output;
  std::string plot_folder, plot_tensor;
  std::string cache;
  bool fresh = false;
};

// One column: a method, by itself or with a preset of its own ("redistribution/best").
struct MethodChoice {
  std::string name, method, preset;
};

// "MODEL" or "MODEL:CALIBRATION:EVALUATION", comma-separated.
struct ModelChoice {
  std::string model, calibration, evaluation;
};

struct PlannedModel {
  v1::Model model;
  v1::Dataset calibration, evaluation;
};

struct TablePlan {
  std::vector<PlannedModel> models;
  std::vector<MethodChoice> methods;
  std::string preset, scheme, weights;
  std::string reference;  // name of the method that the others stand beside
};

// kInvalidArgument names the option.
Result<std::vector<MethodChoice>> ParseMethods(const std::string& methods,
                                               const std::string& preset);
Result<std::vector<ModelChoice>> ParseModels(const TableOptions& options);

// Checks everything before any job is made, and asks the server for the models and datasets.
Result<TablePlan> MakePlan(Client& client, const TableOptions& options);

// The job of one cell.
v1::CalibrationSpec SpecOf(const TableOptions& options, const TablePlan& plan,
                           const PlannedModel& model, const MethodChoice& method);

// The same for the same work: server version, bytes of model and images, options. `attempt` counts
// the jobs that failed before.
std::string RequestIdOf(const std::string& server_version, const PlannedModel& model,
                        const v1::CalibrationSpec& spec, int attempt);

}  // namespace haq::client
