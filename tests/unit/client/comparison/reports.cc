#include "tests/unit/client/comparison/reports.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace haq::comparison {
namespace {

using nlohmann::json;

double Top1(const std::vector<int32_t>& labels, const std::vector<int32_t>& classes) {
  int right = 0, labelled = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    labelled += labels[i] >= 0;
    right += labels[i] >= 0 && labels[i] == classes[i];
  }
  return double(right) / labelled;
}

double Agreement(const Answers& answers) {
  int same = 0;
  for (size_t i = 0; i < answers.labels.size(); ++i) same += answers.fp32[i] == answers.int8[i];
  return double(same) / double(answers.labels.size());
}

json Decibel(const Answers& answers) {
  const double noise = std::accumulate(answers.noise.begin(), answers.noise.end(), 0.0);
  if (noise == 0) return nullptr;
  return 10 *
         std::log10(std::accumulate(answers.signal.begin(), answers.signal.end(), 0.0) / noise);
}

}  // namespace

Answers TenImages() {
  return {{0, 1, 2, 3, 4, 5, 6, 7, 8, -1},
          {0, 1, 2, 3, 4, 5, 6, 0, 0, 5},
          {0, 1, 2, 3, 9, 9, 9, 7, 0, 5},
          {10, 12, 8, 9, 11, 10, 10, 9, 12, 9},
          {0.1F, 0.2F, 0.1F, 0.1F, 0.3F, 0.2F, 0.4F, 0.2F, 0.1F, 0.3F}};
}

json ReportOf(const Answers& answers) {
  int64_t labelled = 0;
  for (const int32_t label : answers.labels) labelled += label >= 0;
  return {{"images", answers.labels.size()},
          {"labelled_images", labelled},
          {"calibration", {{"images", 100}}},
          {"fp32", {{"top1", Top1(answers.labels, answers.fp32)}}},
          {"int8", {{"top1", Top1(answers.labels, answers.int8)}}},
          {"agreement", Agreement(answers)},
          {"sqnr_db", Decibel(answers)},
          {"predictions",
           {{"label", answers.labels},
            {"fp32", answers.fp32},
            {"int8", answers.int8},
            {"signal", answers.signal},
            {"noise", answers.noise}}}};
}

json PeerOf(const Answers& answers) {
  json labels = json::array();
  for (const int32_t label : answers.labels) {
    labels.push_back(label < 0 ? json(nullptr) : json(label));
  }
  return {{"images", answers.labels.size()},
          {"calibration_images", 100},
          {"labels", labels},
          {"fp32", {{"top1", Top1(answers.labels, answers.fp32)}, {"predictions", answers.fp32}}},
          {"runs",
           {{{"weights", "per_channel"},
             {"observer", "histogram"},
             {"top1", Top1(answers.labels, answers.int8)},
             {"agreement", Agreement(answers)},
             {"sqnr_db", Decibel(answers)},
             {"predictions", answers.int8},
             {"signal", answers.signal},
             {"noise", answers.noise}}}}};
}

Row RowOf(const Answers& first, const Answers& second) {
  Row row;
  row.model = "net";
  row.calibration = "cal";
  row.evaluation = "test";
  for (const auto& [name, answers] : {std::pair("minmax", first), {"redistribution", second}}) {
    Outcome outcome;
    outcome.name = name;
    outcome.title = MethodTitle(name);
    outcome.job = "jobs/1";
    const Status status = AddReport(ReportOf(answers).dump(), outcome, &row);
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
  return row;
}

}  // namespace haq::comparison
