#include <gmock/gmock.h>
#include <google/protobuf/util/time_util.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "client/cli/app.h"
#include "client/cli/artifact_text.h"
#include "client/cli/infer_output.h"
#include "client/cli/json.h"
#include "client/cli/report.h"
#include "client/cli/table.h"
#include "client/cli/watch.h"

namespace haq::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Capture {
 public:
  Capture() : file_(open_memstream(&data_, &size_)) {}
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  ~Capture() {
    std::fclose(file_);
    std::free(data_);
  }
  std::FILE* file() { return file_; }
  std::string text() {
    std::fflush(file_);
    return std::string(data_, size_);
  }

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
  std::FILE* file_;
};

struct Outcome {
  int code;
  std::string out, err;
};

Outcome Haq(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "haq");
  Capture out, err;
  const int code =
      Main(static_cast<int>(arguments.size()), arguments.data(), out.file(), err.file());
  return {code, out.text(), err.text()};
}

TEST(MainTest, WrongCommandLinesAreUsageErrors) {
  EXPECT_EQ(Haq({}).code, 2);
  EXPECT_EQ(Haq({"frobnicate"}).code, 2);
  EXPECT_EQ(Haq({"models"}).code, 2);
  EXPECT_EQ(Haq({"calibrate", "m"}).code, 2);
  EXPECT_THAT(Haq({"calibrate", "m"}).err, HasSubstr("--calibration"));
  EXPECT_EQ(Haq({"infer", "m", "a.jpg", "--top", "0"}).code, 2);
  EXPECT_EQ(Haq({"bench-serve", "m", "--clients", "1", "--request-rate", "1"}).code, 2);
  EXPECT_EQ(Haq({"bench-serve", "m", "--spacing", "poisson"}).code, 2);
  EXPECT_THAT(Haq({"infer", "m", "a.jpg", "--top", "0"}).err, HasSubstr("--top"));
}

TEST(MainTest, EveryCommandHasHelpWithExamplesAndExitCodes) {
  const std::vector<std::vector<const char*>> commands = {{"models", "push"},
                                                          {"models", "list"},
                                                          {"models", "show"},
                                                          {"models", "pull"},
                                                          {"models", "delete"},
                                                          {"datasets", "push"},
                                                          {"datasets", "list"},
                                                          {"datasets", "show"},
                                                          {"datasets", "pull"},
                                                          {"datasets", "delete"},
                                                          {"calibrate"},
                                                          {"jobs", "list"},
                                                          {"jobs", "show"},
                                                          {"jobs", "watch"},
                                                          {"bench-serve"},
                                                          {"jobs", "cancel"},
                                                          {"infer"},
                                                          {"table"},
                                                          {"artifacts", "list"},
                                                          {"artifacts", "pull"},
                                                          {"artifacts", "show"},
                                                          {"artifacts", "export"},
                                                          {"status"},
                                                          {"version"}};
  for (std::vector<const char*> command : commands) {
    command.push_back("--help");
    const Outcome outcome = Haq(command);
    EXPECT_EQ(outcome.code, 0) << command[0];
    EXPECT_THAT(outcome.out, HasSubstr("Examples:\n  haq " + std::string(command[0])));
    EXPECT_THAT(outcome.out, HasSubstr("Exit codes:"));
    EXPECT_THAT(outcome.out, HasSubstr("--json"));
    EXPECT_THAT(outcome.out, HasSubstr("--server"));
  }
}

TEST(MainTest, AServerThatIsAwayIsExitCode5AndNamed) {
  const Outcome plain = Haq({"models", "list", "--server", "127.0.0.1:1"});
  EXPECT_EQ(plain.code, 5);
  EXPECT_EQ(plain.out, "");
  EXPECT_THAT(plain.err, HasSubstr("haq: UNAVAILABLE: server 127.0.0.1:1: "));
  const Outcome json = Haq({"models", "list", "--server", "127.0.0.1:1", "--json"});
  EXPECT_EQ(json.code, 5);
  EXPECT_EQ(json.out, "");
  EXPECT_EQ(nlohmann::json::parse(json.err)["error"]["code"], "UNAVAILABLE");
}

TEST(MainTest, FilesAreCheckedBeforeTheServerIsAsked) {
  const Outcome outcome = Haq({"artifacts", "show", "absent.haq", "--server", "127.0.0.1:1"});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("absent.haq"));
}

TEST(MainTest, FormatsOfAnExportAreNamed) {
  const Outcome outcome = Haq({"artifacts", "export", "absent.haq", "--format", "tflite", "out"});
  EXPECT_EQ(outcome.code, 4);
  EXPECT_THAT(outcome.err, HasSubstr("--format: is 'tflite', must be onnx-qdq"));
}

TEST(MainTest, UnknownStateIsNamed) {
  const Outcome outcome = Haq({"jobs", "list", "--state", "sleeping"});
  EXPECT_EQ(outcome.code, 4);
  EXPECT_THAT(outcome.err, HasSubstr("--state: \"sleeping\" is none of queued"));
}

TEST(MainTest, WrongChoicesOfTheMethodAreNamed) {
  const auto calibrate = [](std::vector<const char*> more) {
    more.insert(more.begin(), {"calibrate", "m", "--calibration", "c", "--evaluation", "e",
                               "--server", "127.0.0.1:1"});
    return Haq(more);
  };
  Outcome outcome = calibrate({"--equalize", "maybe"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--equalize: maybe not in {on,off}"));
  outcome = calibrate({"--wide", "-3"});
  EXPECT_EQ(outcome.code, 4);
  EXPECT_THAT(outcome.err, HasSubstr("--wide: must be 0 to 1000, or names of tensors, found -3"));
  outcome = calibrate({"--wide", ""});
  EXPECT_EQ(outcome.code, 4);
  EXPECT_THAT(outcome.err, HasSubstr("--wide: has an empty name"));
}

TEST(MainTest, HelpListsWhatThereIsToChooseFrom) {
  const std::string help = Haq({"calibrate", "--help"}).out;
  EXPECT_THAT(help, HasSubstr("(default redistribution)"));
  EXPECT_THAT(help, HasSubstr("moving_minmax"));
  EXPECT_THAT(help, HasSubstr("(default fast): fast, best"));
}

TEST(MainTest, VersionAsTextAndJson) {
  EXPECT_THAT(Haq({"version"}).out, testing::MatchesRegex("haq [0-9]+\\.[0-9]+\\.[0-9]+\n"));
  EXPECT_TRUE(nlohmann::json::parse(Haq({"version", "--json"}).out).contains("version"));
}

TEST(TableTest, AlignsByCharactersAndTrimsTheEnd) {
  Table table({{"NAME"}, {"SIZE", Align::kRight}, {"NOTE"}});
  table.Add({"a", "1", "x"});
  table.Add({"gr\xC3\xBC\xC3\x9F", "1000", ""});
  EXPECT_EQ(table.Text(),
            "NAME  SIZE  NOTE\n"
            "a        1  x\n"
            "gr\xC3\xBC\xC3\x9F  1000\n");
}

TEST(TableTest, Pieces) {
  google::protobuf::Timestamp time;
  EXPECT_EQ(FormatTime(time), "-");
  time.set_seconds(1'714'570'620);
  EXPECT_EQ(FormatTime(time), "2024-05-01 13:37:00");
  EXPECT_EQ(FormatPercent(0.87284), "87.28 %");
  EXPECT_EQ(FormatShape(std::vector<int64_t>{3, 224, 224}), "3x224x224");
}

TEST(JsonTest, NumbersAreNumbersAndReportsAreDocuments) {
  v1::Job job;
  job.set_name("jobs/1");
  job.set_state(v1::SUCCEEDED);
  job.set_last_sequence(int64_t{1} << 40);
  job.set_report_json(R"({"int8": {"top1": 0.875}})");
  *job.mutable_create_time() = google::protobuf::util::TimeUtil::SecondsToTimestamp(1'714'570'620);
  const auto json = ToJson(job);
  EXPECT_EQ(json["name"], "jobs/1");
  EXPECT_EQ(json["state"], "SUCCEEDED");
  EXPECT_EQ(json["last_sequence"], int64_t{1} << 40);
  EXPECT_EQ(json["report"]["int8"]["top1"], 0.875);
  EXPECT_EQ(json["create_time"], "2024-05-01T13:37:00Z");
  EXPECT_TRUE(json["start_time"].is_null());
  EXPECT_EQ(json["cancel_requested"], false) << "false and 0 are shown, too";
  EXPECT_TRUE(json["spec"].is_null());
}

TEST(JsonTest, OptionalFieldsAreNullUntilTheyAreSet) {
  v1::CalibrationSpec spec;
  spec.set_equalize(false);
  const auto json = ToJson(spec);
  EXPECT_TRUE(json.at("adaround").is_null());
  EXPECT_EQ(json.at("equalize"), false);
}

TEST(JsonTest, AnEventShowsOnlyWhatItIs) {
  v1::JobEvent event;
  event.set_sequence(3);
  event.mutable_progress()->set_phase("calibrate");
  const auto json = ToJson(event);
  EXPECT_EQ(json["sequence"], 3);
  EXPECT_EQ(json["progress"]["phase"], "calibrate");
  EXPECT_FALSE(json.contains("accuracy"));
  EXPECT_FALSE(json.contains("state_change"));
}

TEST(JsonTest, ErrorsNameTheFields) {
  const auto json = ToJson(InvalidField("method", "\"magic\" is unknown"));
  EXPECT_EQ(json["error"]["code"], "INVALID_ARGUMENT");
  EXPECT_EQ(json["error"]["message"], "method: \"magic\" is unknown");
  EXPECT_EQ(json["error"]["fields"][0]["field"], "method");
}

TEST(ReportTest, ShowsBothNetworksAndTheWorstLayersFirst) {
  const std::string text = FormatReport(R"({
    "fp32": {"top1": 0.8728, "top5": 0.99}, "int8": {"top1": 0.8718, "top5": null},
    "agreement": 0.987, "sqnr_db": 26.04, "images": 5000,
    "calibration": {"images_per_second": 812.4, "peak_rss_bytes": 314572800},
    "layers": [{"name": "conv1", "op": "conv2d", "scheme": "one_sided", "scale": 0.02,
                "zero_point": 0, "range": [0, 5.1], "sqnr_db": 40.5},
               {"name": "add7", "op": "add", "scheme": "symmetric", "scale": 0.04,
                "zero_point": 128, "range": [-5, 5], "sqnr_db": 20.25},
               {"name": "flat", "op": "reshape", "sqnr_db": null}]})",
                                        1);
  EXPECT_THAT(text, HasSubstr("top-1  87.28 %  87.18 %  -0.10 points\n"));
  EXPECT_THAT(text, HasSubstr("top-5  99.00 %        -             -\n"));
  EXPECT_THAT(text, HasSubstr("agreement 98.70 %   SQNR 26.04 dB   5000 images\n"));
  EXPECT_THAT(text, HasSubstr("812 images/s, 300.0 MiB at most\n"));
  EXPECT_THAT(text,
              HasSubstr("add7   add  symmetric   0.04         128  [-5.000, 5.000]     20.2\n"));
  EXPECT_THAT(text, Not(HasSubstr("conv1")));
}

TEST(ReportTest, ShowsHowSureTheFiguresAre) {
  const std::string text = FormatReport(R"({
    "warnings": ["tensor \"a\" is constant", "few images"],
    "corrections": {"adaround": false, "bias_correction": true, "equalize": true},
    "fp32": {"top1": 0.8728, "top1_interval": [0.8633, 0.8817]},
    "int8": {"top1": 0.8718, "top1_interval": [0.8623, 0.8808]},
    "top1_change": {"difference": -0.001, "interval": [-0.0031, 0.0011], "only_fp32": 12,
                    "only_int8": 7, "p_value": 0.3593}})");
  EXPECT_THAT(text, HasSubstr("  warning      tensor \"a\" is constant\n"
                              "  warning      few images\n"));
  EXPECT_THAT(text, HasSubstr("  corrections  bias_correction, equalize\n"));
  EXPECT_THAT(text, HasSubstr("  95 %: FP32 86.33 to 88.17 %, INT8 86.23 to 88.08 %, "
                              "change -0.31 to +0.11 points\n"));
  EXPECT_THAT(text, HasSubstr("  only FP32 is right on 12 images, only INT8 on 7 "
                              "(McNemar p = 0.359)\n"));
  EXPECT_THAT(FormatReport(R"({"top1_change": {"interval": [null, null], "p_value": null}})"),
              HasSubstr("95 %: FP32 -, INT8 -, change -\n"));
  EXPECT_THAT(FormatReport(R"({"corrections": {"equalize": false}})"),
              HasSubstr("corrections  none\n"));
}

TEST(ReportTest, ShowsTheFirstFindingsAndWhatToDo) {
  const std::string text = FormatReport(R"({"diagnosis": [
    {"tensor": "conv1", "share": 0.1288, "finding": "resolution", "figures": {},
     "text": "8 bits are few", "action": "keep it at 16 bits: --wide conv1"},
    {"tensor": "add7", "share": 0.05, "text": "b", "action": "c"},
    {"tensor": "add8", "share": 0.04, "text": "b", "action": "c"}]})",
                                        2);
  EXPECT_THAT(text, HasSubstr("  what costs most, by its share of the noise, and what to do\n"
                              "  12.9 %  conv1: 8 bits are few\n"
                              "          keep it at 16 bits: --wide conv1\n"
                              "   5.0 %  add7: b\n"));
  EXPECT_THAT(text, Not(HasSubstr("add8")));
  EXPECT_THAT(FormatReport(R"({"diagnosis": []})"), Not(HasSubstr("what costs most")));
}

TEST(ReportTest, SurvivesOtherDocuments) {
  EXPECT_EQ(FormatReport("no JSON"), "no JSON");
  EXPECT_THAT(FormatReport("{}"), HasSubstr("top-1"));
  EXPECT_THAT(FormatReport(R"({"layers": [{"sqnr_db": 1}, 5, null], "fp32": 3,
                                 "corrections": {"a": 1}, "warnings": "none", "diagnosis": [3, {}], "top1_change": {"interval": [1, "x"]}})"),
              HasSubstr("1.0"));
}

TEST(DescribeJobTest, ShowsWhatWasChosen) {
  v1::Job job;
  job.mutable_spec()->set_method("kl");
  job.mutable_spec()->set_scheme("hybrid");
  job.mutable_spec()->set_weights("per_tensor");
  job.mutable_spec()->set_preset("best");
  EXPECT_THAT(DescribeJob(job), HasSubstr("  method       kl, hybrid, weights per_tensor\n"
                                          "  preset       best\n"));
  job.mutable_spec()->set_equalize(false);
  job.mutable_spec()->set_adaround(true);
  job.mutable_spec()->set_wide_count(6);
  EXPECT_THAT(DescribeJob(job),
              HasSubstr("best, equalize off, adaround on, the worst 6 tensors at 16 bits\n"));
  job.mutable_spec()->clear_wide_count();
  job.mutable_spec()->add_wide_tensors("add1");
  job.mutable_spec()->add_wide_tensors("add2");
  EXPECT_THAT(DescribeJob(job), HasSubstr("adaround on, at 16 bits: add1, add2\n"));
}

v1::JobEvent Progress(const char* phase, int64_t done, int64_t total) {
  v1::JobEvent event;
  event.mutable_progress()->set_phase(phase);
  event.mutable_progress()->set_done(done);
  event.mutable_progress()->set_total(total);
  return event;
}

TEST(WatchViewTest, PlainLinesTellTheJobsStory) {
  Capture capture;
  WatchView view(capture.file(), /*terminal=*/false, 80);
  v1::JobEvent event;
  event.set_attempt(2);
  event.mutable_state_change()->set_state(v1::RUNNING);
  view.Show(event);
  view.Show(Progress("calibrate", 10, 10));
  event.mutable_log()->set_level("warning");
  event.mutable_log()->set_message("an image without label");
  view.Show(event);
  view.Show(Progress("evaluate", 0, 20));
  event.mutable_accuracy()->set_fp32_top1(0.9);
  event.mutable_accuracy()->set_int8_top1(0.89);
  event.mutable_accuracy()->set_agreement(0.97);
  view.Show(event);
  view.Show(Progress("evaluate", 20, 20));
  event.mutable_state_change()->set_state(v1::FAILED);
  event.mutable_state_change()->set_reason("the disk is full");
  view.Show(event);
  view.Finish();
  EXPECT_EQ(capture.text(),
            "job RUNNING (attempt 2)\n"
            "calibrate 100 %  10/10 images\n"
            "warning: an image without label\n"
            "evaluate    0 %  0/20 images\n"
            "evaluate  100 %  20/20 images  FP32 90.0 %, INT8 89.0 %, agree 97.0 %\n"
            "job FAILED: the disk is full\n");
}

inference::ModelInferResponse Response(int64_t rows, const std::vector<float>& values, bool raw) {
  inference::ModelInferResponse response;
  auto* output = response.add_outputs();
  output->set_datatype("FP32");
  output->add_shape(rows);
  output->add_shape(static_cast<int64_t>(values.size()) / rows);
  if (raw) {
    std::string bytes(values.size() * sizeof(float), '\0');
    std::memcpy(bytes.data(), values.data(), bytes.size());
    response.add_raw_output_contents(bytes);
  } else {
    output->mutable_contents()->mutable_fp32_contents()->Add(values.begin(), values.end());
  }
  return response;
}

TEST(InferOutputTest, ReadsRawAndTypedRows) {
  for (const bool raw : {true, false}) {
    const auto rows = OutputRows(Response(2, {1, 2, 3, 4, 5, 6}, raw), 2);
    ASSERT_TRUE(rows.ok()) << rows.status().ToString();
    EXPECT_EQ((*rows)[0], (std::vector<float>{1, 2, 3}));
    EXPECT_EQ((*rows)[1], (std::vector<float>{4, 5, 6}));
  }
}

TEST(InferOutputTest, RefusesAnswersThatContradictThemselves) {
  EXPECT_FALSE(OutputRows({}, 1).ok());
  EXPECT_FALSE(OutputRows(Response(2, {1, 2}, true), 1).ok());
  auto response = Response(1, {1, 2}, true);
  response.mutable_raw_output_contents(0)->pop_back();
  EXPECT_FALSE(OutputRows(response, 1).ok());
}

TEST(InferOutputTest, TopKFallsAndTiesGoToTheLowerIndex) {
  const auto top = TopK({0.5F, 2, -1, 2}, 3);
  ASSERT_EQ(top.size(), 3U);
  EXPECT_EQ(top[0].index, 1);
  EXPECT_EQ(top[1].index, 3);
  EXPECT_EQ(top[2].index, 0);
  EXPECT_EQ(TopK({1}, 5).size(), 1U);
}

TEST(ArtifactTextTest, ShowsLayersWithTheirOutputs) {
  artifact::Model model;
  model.tensors = {{"input", artifact::DataType::kUint8, {2, 2, 1}, 0.5F, 3},
                   {"logits", artifact::DataType::kUint8, {4}, 0.25F, 128}};
  artifact::Linear linear;
  linear.weight = model.Own(std::vector<int8_t>(16, 1));
  model.layers.push_back({"fc", linear, {0}, 1, -5, 5});
  model.output = 1;
  model.input_shape = {1, 2, 2};
  model.preprocess_json = R"({"scale": 1})";
  model.metadata_json = R"({"method": "minmax"})";
  const std::string text = ArtifactText(model);
  EXPECT_THAT(text, HasSubstr("method       minmax\n"));
  EXPECT_THAT(text, HasSubstr("fc     linear  4        0.25         128     16 B\n"));
  const auto json = ArtifactJson(model);
  EXPECT_EQ(json["metadata"]["method"], "minmax");
  EXPECT_EQ(json["preprocess"]["scale"], 1);
  EXPECT_EQ(json["layers"][0]["weight_bytes"], 16);
  EXPECT_EQ(json["tensors"][1]["zero_point"], 128);
}

}  // namespace
}  // namespace haq::client
