// What networks answered to one evaluation set: the figures of a table's row, read from reports of
// jobs (docs/report.md) and from what the PyTorch peer printed.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace haq::comparison {

inline constexpr double kNoFigure = std::numeric_limits<double>::quiet_NaN();

// One network, FP32 or quantized in one way.
struct Outcome {
  std::string name;   // "fp32", "redistribution", "redistribution/best", "pytorch/histogram"
  std::string title;  // what people call it: "Activation Redistribution"
  std::string job;    // that measured it, where one did
  std::string error;  // why there are no figures; "" when there are

  double top1 = kNoFigure;       // fraction of the labelled images
  double agreement = kNoFigure;  // fraction of all images; of FP32 with itself no figure
  double sqnr_db = kNoFigure;    // infinity when nothing differs
  // By image, in the dataset's order; of the first images only where there are very many.
  std::vector<int32_t> classes;
  std::vector<float> signal, noise;  // of FP32 empty
  nlohmann::json report;             // of a job

  bool ok() const { return error.empty(); }
};

// One model on one evaluation set.
struct Row {
  std::string model, calibration, evaluation;  // short names
  int64_t calibration_images = 0;
  int64_t images = 0, labelled_images = 0;  // of the evaluation
  std::vector<int32_t> labels;              // by image; -1 where there is none
  Outcome fp32;
  std::vector<Outcome> pytorch, methods;  // in the order asked for
  std::string pytorch_note;               // why `pytorch` is empty, or what is odd about it

  // The one of best SQNR; null when none has figures.
  const Outcome* BestPytorch() const;
  const Outcome* Find(std::string_view name) const;  // of `methods`
};

// Everything that one table shows.
struct Comparison {
  std::string server;
  std::string scheme, weights, preset;
  std::vector<Row> rows;
  // The method that the others are compared with, and FP32's opponent; "" when there is none.
  std::string reference;
};

// "Activation Redistribution" of "redistribution"; an unknown name is its own title.
std::string MethodTitle(std::string_view method);

// Adds what a job's report says to `row`: the outcome as one of its methods under the name, title
// and job given in it; labels and FP32 from the first report. kInternal for a report without the
// fields that docs/report.md lists, or of other images than the row's.
Status AddReport(std::string_view report_json, Outcome outcome, Row* row);

// Adds what tests/peers/pytorch_ptq.py printed; to a row without figures also images, labels and
// FP32. Sets the row's note where PyTorch's FP32 network
// answers otherwise than ours on more than one image in a hundred.
Status AddPeer(std::string_view peer_json, Row* row);

}  // namespace haq::comparison
