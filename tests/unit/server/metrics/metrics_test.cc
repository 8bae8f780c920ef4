#include "server/metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

namespace haq::server::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Described {
  std::string type;
  std::set<std::string> labels;
  bool operator==(const Described&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Described& described) {
  out << described.type << " {";
  for (const auto& label : described.labels) out << label << " ";
  return out << "}";
}

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  return parts;
}

// The rows of the first table of docs/metrics.md: | `name` | type | `label`, `label` | ...
std::map<std::string, Described> Documented() {
  std::ifstream file(std::string(HAQ_DOCS) + "/metrics.md");
  std::map<std::string, Described> metrics;
  for (std::string line; std::getline(file, line);) {
    const auto cells = Split(line, '|');
    if (cells.size() < 5) continue;
    Described described{cells[2].substr(1, cells[2].size() - 2), {}};
    if (described.type != "gauge" && described.type != "counter" && described.type != "histogram")
      continue;
    const auto labels = Split(cells[3], '`');
    for (size_t i = 1; i < labels.size(); i += 2) described.labels.insert(labels[i]);
    metrics[Split(cells[1], '`').at(1)] = described;
  }
  return metrics;
}

// What a scrape says of itself: types by the TYPE lines, labels by the samples.
std::map<std::string, Described> Scraped(const std::string& text) {
  std::map<std::string, Described> metrics;
  std::string current;
  for (const std::string& line : Split(text, '\n')) {
    const auto words = Split(line, ' ');
    if (words.size() == 4 && words[1] == "TYPE") {
      current = words[2];
      metrics[current].type = words[3];
    }
    if (line.starts_with("#") || line.find('{') == std::string::npos) continue;
    // name{label="value",label="value"} number
    const auto quoted = Split(line.substr(line.find('{') + 1), '"');
    for (size_t i = 0; i + 1 < quoted.size(); i += 2) {
      std::string label = quoted[i].substr(quoted[i].starts_with(",") ? 1 : 0);
      label.pop_back();
      if (label != "le") metrics[current].labels.insert(label);
    }
  }
  return metrics;
}

double Value(const std::string& text, const std::string& series) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(series + " ")) return std::stod(line.substr(series.size() + 1));
  }
  ADD_FAILURE() << series << " is not in\n" << text;
  return -1;
}

TEST(MetricsTest, ThePageListsWhatTheServerSays) {
  Metrics metrics;
  metrics.CountInference("m", StatusCode::kOk, 1, 0.1);
  metrics.CountRpc("/inference.GRPCInferenceService/ModelInfer", "OK");
  metrics.CountHttp("/v2", 200);
  metrics.SetKernels("avx2");
  metrics.SetWorkerIsolation("landlock", true);
  metrics.SetServedFigures(
      "m", {.version = 1, .fp32_top1 = 0.9, .int8_top1 = 0.8, .agreement = 0.7, .sqnr_db = 30});
  metrics.SetClipping({{.model = "m", .version = 1, .tensors = {{.name = "t"}}}});
  const auto documented = Documented();
  EXPECT_GE(documented.size(), 15u);
  EXPECT_EQ(Scraped(metrics.Scrape()), documented);
}

TEST(MetricsTest, CountsInferencesOfAModel) {
  Metrics metrics;
  metrics.AddModel("resnet20");
  metrics.CountInference("resnet20", StatusCode::kOk, 3, 0.02);
  metrics.CountInference("resnet20", StatusCode::kOk, 4, 0.2);
  metrics.CountInference("resnet20", StatusCode::kInvalidArgument, 0, 0.0001);
  metrics.ObserveInferenceStages("resnet20", 0.003, 0.04);
  metrics.ObserveBatch("resnet20", 7);
  metrics.SetInferenceQueue("resnet20", 5);
  metrics.SetInferenceQueue("unknown", 9);
  const std::string text = metrics.Scrape();
  EXPECT_EQ(Value(text, R"(haq_inference_requests_total{code="OK",model="resnet20"})"), 2);
  EXPECT_EQ(
      Value(text, R"(haq_inference_requests_total{code="INVALID_ARGUMENT",model="resnet20"})"), 1);
  EXPECT_EQ(Value(text, R"(haq_inference_images_total{model="resnet20"})"), 7);
  EXPECT_EQ(Value(text, R"(haq_inference_request_duration_seconds_count{model="resnet20"})"), 3);
  EXPECT_EQ(
      Value(text, R"(haq_inference_request_duration_seconds_bucket{model="resnet20",le="0.025"})"),
      2);
  EXPECT_EQ(Value(text, R"(haq_inference_queue_duration_seconds_sum{model="resnet20"})"), 0.003);
  EXPECT_EQ(Value(text, R"(haq_inference_compute_duration_seconds_sum{model="resnet20"})"), 0.04);
  EXPECT_EQ(Value(text, R"(haq_inference_batch_size_bucket{model="resnet20",le="4"})"), 0);
  EXPECT_EQ(Value(text, R"(haq_inference_batch_size_bucket{model="resnet20",le="8"})"), 1);
  EXPECT_EQ(Value(text, R"(haq_inference_queue_requests{model="resnet20"})"), 5);
  EXPECT_EQ(Value(text, R"(haq_inference_queue_requests{model="_unknown"})"), 0);
  EXPECT_EQ(Value(text, "haq_models_loaded"), 1);
}

TEST(MetricsTest, UnknownModelsMakeNoNewSeries) {
  Metrics metrics;
  metrics.CountInference("first", StatusCode::kNotFound, 0, 0.001);
  const size_t size = metrics.Scrape().size();
  for (int i = 0; i < 50; ++i) {
    metrics.CountInference("guess" + std::to_string(i), StatusCode::kNotFound, 0, 0.001);
  }
  const std::string text = metrics.Scrape();
  EXPECT_THAT(text, Not(HasSubstr("guess")));
  EXPECT_EQ(Value(text, R"(haq_inference_requests_total{code="NOT_FOUND",model="_unknown"})"), 51);
  EXPECT_LT(text.size(), size + 100);
}

TEST(MetricsTest, TheSeriesOfAModelGoWithIt) {
  Metrics metrics;
  metrics.AddModel("gone");
  metrics.CountInference("gone", StatusCode::kOk, 1, 0.001);
  metrics.RemoveModel("gone");
  EXPECT_THAT(metrics.Scrape(), Not(HasSubstr("gone")));
  EXPECT_EQ(Value(metrics.Scrape(), "haq_models_loaded"), 0);
  metrics.RemoveModel(std::string(kUnknownModel));
  metrics.CountInference("gone", StatusCode::kOk, 1, 0.001);
  EXPECT_EQ(Value(metrics.Scrape(), R"(haq_inference_images_total{model="_unknown"})"), 1);
}

TEST(MetricsTest, JobsMoveBetweenStates) {
  Metrics metrics;
  metrics.SetJobs("queued", 2);
  metrics.MoveJob("queued", "running");
  metrics.MoveJob("", "queued");
  metrics.MoveJob("running", "succeeded");
  metrics.AddCalibrationImages(100);
  metrics.AddCalibrationImages(-5);
  const std::string text = metrics.Scrape();
  EXPECT_EQ(Value(text, R"(haq_jobs{state="queued"})"), 2);
  EXPECT_EQ(Value(text, R"(haq_jobs{state="running"})"), 0);
  EXPECT_EQ(Value(text, R"(haq_jobs{state="succeeded"})"), 1);
  EXPECT_EQ(Value(text, R"(haq_job_state_changes_total{state="running"})"), 1);
  EXPECT_EQ(Value(text, "haq_calibration_images_total"), 100);
}

TEST(MetricsTest, PhasesThatNobodyKnowsMakeNoNewSeries) {
  Metrics metrics;
  metrics.ObserveJobPhase("calibrate", 7);
  for (int i = 0; i < 5; ++i) metrics.ObserveJobPhase("guess" + std::to_string(i), 1);
  const std::string text = metrics.Scrape();
  EXPECT_EQ(Value(text, R"(haq_job_phase_duration_seconds_sum{phase="calibrate"})"), 7);
  EXPECT_EQ(Value(text, R"(haq_job_phase_duration_seconds_bucket{phase="calibrate",le="5"})"), 0);
  EXPECT_EQ(Value(text, R"(haq_job_phase_duration_seconds_bucket{phase="calibrate",le="10"})"), 1);
  EXPECT_EQ(Value(text, R"(haq_job_phase_duration_seconds_count{phase="other"})"), 5);
  EXPECT_THAT(text, Not(HasSubstr("guess")));
}

TEST(MetricsTest, FiguresAreThoseOfTheServedVersion) {
  Metrics metrics;
  metrics.SetServedFigures(
      "m", {.version = 3, .fp32_top1 = 0.9, .int8_top1 = 0.89, .agreement = 0.97, .sqnr_db = 31.5});
  std::string text = metrics.Scrape();
  EXPECT_EQ(Value(text, R"(haq_served_version{model="m"})"), 3);
  EXPECT_EQ(Value(text, R"(haq_served_top1_ratio{model="m",network="fp32"})"), 0.9);
  EXPECT_EQ(Value(text, R"(haq_served_top1_ratio{model="m",network="int8"})"), 0.89);
  EXPECT_EQ(Value(text, R"(haq_served_agreement_ratio{model="m"})"), 0.97);
  EXPECT_EQ(Value(text, R"(haq_served_sqnr_decibels{model="m"})"), 31.5);
  metrics.SetServedFigures("m", {.version = 4});
  text = metrics.Scrape();
  EXPECT_EQ(Value(text, R"(haq_served_version{model="m"})"), 4);
  EXPECT_THAT(text, Not(HasSubstr("haq_served_top1_ratio{"))) << "nobody knows them of version 4";
  metrics.RemoveServedFigures("m");
  EXPECT_THAT(metrics.Scrape(), Not(HasSubstr("haq_served_version{")));
}

TEST(MetricsTest, ClippingIsThatOfTheModelsThatAreWatchedNow) {
  Metrics metrics;
  metrics.SetClipping({{.model = "m",
                        .version = 2,
                        .images = 40,
                        .drift = 3.5,
                        .mean_drift = 1.25,
                        .tensors = {{"conv", 0.03, 0.01, 2.5}, {"fc", 0, 0, 1}}}});
  std::string text = metrics.Scrape();
  EXPECT_EQ(Value(text, R"(haq_model_clipping_images_total{model="m",version="2"})"), 40);
  EXPECT_EQ(Value(text, R"(haq_model_clipping_drift{model="m",version="2"})"), 3.5);
  EXPECT_EQ(Value(text, R"(haq_model_clipping_drift_mean{model="m",version="2"})"), 1.25);
  const std::string conv = R"({model="m",version="2",tensor="conv"})";
  EXPECT_EQ(Value(text, "haq_model_clipping_tensor_drift" + conv), 2.5);
  EXPECT_EQ(Value(text, "haq_model_clipping_ratio" + conv), 0.03);
  EXPECT_EQ(Value(text, "haq_model_clipping_calibrated_ratio" + conv), 0.01);
  EXPECT_EQ(Value(text, R"(haq_model_clipping_ratio{model="m",version="2",tensor="fc"})"), 0);
  metrics.SetClipping({});
  EXPECT_THAT(metrics.Scrape(), Not(HasSubstr("haq_model_clipping")));
}

TEST(MetricsTest, StorageSpeedAndRestarts) {
  Metrics metrics;
  metrics.SetStorage({.database_bytes = 1, .blobs = 2, .blob_bytes = 3, .free_bytes = 4});
  metrics.SetCalibrationSpeed(123.5);
  metrics.CountWorkerRestart(true);
  metrics.CountWorkerRestart(false);
  metrics.CountWorkerRestart(false);
  const std::string text = metrics.Scrape();
  EXPECT_EQ(Value(text, "haq_store_database_bytes"), 1);
  EXPECT_EQ(Value(text, "haq_store_blobs"), 2);
  EXPECT_EQ(Value(text, "haq_store_blob_bytes"), 3);
  EXPECT_EQ(Value(text, "haq_store_free_bytes"), 4);
  EXPECT_EQ(Value(text, "haq_calibration_images_per_second"), 123.5);
  EXPECT_EQ(Value(text, R"(haq_worker_restarts_total{how="crashed"})"), 1);
  EXPECT_EQ(Value(text, R"(haq_worker_restarts_total{how="ended"})"), 2);
}

TEST(MetricsTest, TellsOfTheProcess) {
  const std::string text = Metrics().Scrape();
  EXPECT_GT(Value(text, "process_resident_memory_bytes"), 1 << 20);
  EXPECT_GE(Value(text, "process_threads"), 1);
  const double now = static_cast<double>(std::chrono::duration_cast<std::chrono::seconds>(
                                             std::chrono::system_clock::now().time_since_epoch())
                                             .count());
  EXPECT_NEAR(Value(text, "process_start_time_seconds"), now, 120);
}

TEST(MetricsTest, ManyThreadsCountWhileAModelComesAndGoes) {
  Metrics metrics;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&metrics] {
      for (int i = 0; i < 500; ++i) {
        metrics.CountInference("m", StatusCode::kOk, 1, 0.001);
        metrics.ObserveInferenceStages("m", 0.001, 0.001);
      }
    });
  }
  for (int i = 0; i < 100; ++i) {
    metrics.AddModel("m");
    (void)metrics.Scrape();
    metrics.RemoveModel("m");
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(metrics.Scrape(), Not(HasSubstr(R"(model="m")")));
}

}  // namespace
}  // namespace haq::server::metrics
