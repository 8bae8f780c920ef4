// The whole pipeline on the demo's network and on small images made here.
#include "core/pipeline/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/artifact/clipping.h"
#include "core/artifact/file.h"
#include "core/eval/statistics.h"
#include "core/pipeline/checkpoint.h"
#include "core/runtime/session.h"
#include "tests/unit/core/pipeline/pipeline_fixture.h"

namespace haq::pipeline {
namespace {

using nlohmann::json;

// What must not differ between runs: everything but times and memory.
json ResultOf(const Output& output) {
  json report = json::parse(output.report_json);
  report.erase("calibration");
  report.erase("evaluation");
  return report;
}

// Histogram and ranges of a layer of the report, of 150 images.
void ExpectFiguresOfTheTensor(const json& layer) {
  SCOPED_TRACE(layer["name"].dump());
  const json& histogram = layer["histogram"];
  ASSERT_EQ(histogram["counts"].size(), 128u);
  int64_t sum = histogram["zeros"].get<int64_t>(), elements = 150;
  for (const json& count : histogram["counts"]) sum += count.get<int64_t>();
  for (const json& side : layer["shape"]) elements *= side.get<int64_t>();
  EXPECT_GE(sum, elements / 4) << "a max pooling decides the range of what it reads";
  EXPECT_LE(sum, elements);
  ASSERT_EQ(layer["ranges"].size(), 6u);
  EXPECT_EQ(layer["ranges"]["minmax"], (json{histogram["low"], histogram["high"]}));
  if (layer["op"] != "input") {  // pixels enter exactly
    EXPECT_EQ(layer["ranges"]["redistribution"], layer["observed"]);
  }
  EXPECT_NE(layer["ranges"]["percentile"], layer["ranges"]["minmax"]);
}

TEST_F(PipelineTest, ReportHasWhatUsersRead) {
  Recorder recorder;
  const auto output = Quantize(options_, MakeInputs(), recorder, {});
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  const json report = json::parse(output->report_json);
  EXPECT_EQ(report["images"], 150);
  for (const char* side : {"fp32", "int8"}) {
    for (const char* top : {"top1", "top5"}) {
      EXPECT_GE(report[side][top].get<double>(), 0);
      EXPECT_LE(report[side][top].get<double>(), 1);
    }
  }
  EXPECT_GT(report["agreement"].get<double>(), 0.8);
  EXPECT_GT(report["sqnr_db"].get<double>(), 15);
  EXPECT_GT(report["calibration"]["images_per_second"].get<double>(), 0);
  EXPECT_GT(report["calibration"]["peak_rss_bytes"].get<int64_t>(), 1 << 20);
  ASSERT_GT(report["layers"].size(), 5u);
  for (const json& layer : report["layers"]) {
    for (const char* key : {"name", "op", "scheme", "scale", "zero_point", "range", "sqnr_db"}) {
      EXPECT_TRUE(layer.contains(key)) << key;
    }
    ExpectFiguresOfTheTensor(layer);
    if (layer["sqnr_db"].is_number()) {
      EXPECT_GT(layer["sqnr_db"].get<double>(), 10) << layer.dump();
    }
  }
  EXPECT_EQ(report["artifact"]["size_bytes"], output->artifact.size());
  EXPECT_EQ(recorder.phases,
            (std::vector<std::string>{"import", "calibrate", "lower", "clipping", "lower", "layers",
                                      "sensitivity", "evaluate"}));
  ASSERT_FALSE(recorder.accuracies.empty());
  EXPECT_EQ(recorder.accuracies.back().images, 150);
  EXPECT_EQ(recorder.accuracies.back().int8_top1, report["int8"]["top1"].get<double>());

  const auto model = artifact::Parse(output->artifact);
  ASSERT_TRUE(model.ok());
  Samples evaluation(evaluation_);
  const auto evaluated = EvaluateArtifact(*model, evaluation, 0, recorder, {});
  ASSERT_TRUE(evaluated.ok()) << evaluated.status().ToString();
  EXPECT_EQ(json::parse(*evaluated)["int8"], report["int8"]);
}

TEST_F(PipelineTest, AnArtifactThatFailsItsSelfTestIsNotEvaluated) {
  options_.limit_calibration = options_.limit_evaluation = 8;
  Recorder recorder;
  const auto output = Quantize(options_, MakeInputs(), recorder, {});
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  artifact::Model model = artifact::Parse(output->artifact).value();
  ASSERT_FALSE(model.golden.empty());
  model.golden.back().output_sha256[5] ^= 4;
  Samples evaluation(evaluation_);
  const Status status = EvaluateArtifact(model, evaluation, 8, recorder, {}).status();
  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_NE(status.message().find("the self-test failed"), std::string::npos);
  EXPECT_TRUE(EvaluateArtifact(model, evaluation, 8, recorder, {}, /*self_test=*/false).ok());
}

TEST_F(PipelineTest, ReportSaysWhatEachRoundingCosts) {
  Recorder recorder;
  const auto output = Quantize(options_, MakeInputs(), recorder, {});
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  const json report = json::parse(output->report_json);
  double tensors = 0, weights = 0;
  for (const json& layer : report["layers"]) {
    // The parts of this network's concatenation share its scale.
    const bool moved = layer["op"] == "max_pool2d" || layer["op"] == "concat";
    EXPECT_EQ(layer["isolated_sqnr_db"].is_number(), !moved) << layer["name"];
    EXPECT_EQ(layer["share"] == 0, moved) << layer["name"];
    const bool weighted = layer["op"] == "conv2d" || layer["op"] == "linear";
    EXPECT_EQ(layer["weights_sqnr_db"].is_number(), weighted) << layer["name"];
    EXPECT_EQ(layer["weights_share"].is_number(), weighted) << layer["name"];
    tensors += layer["share"].get<double>();
    if (weighted) weights += layer["weights_share"].get<double>();
  }
  EXPECT_NEAR(tensors + weights, 1, 1e-9);
  const json& sensitivity = report["sensitivity"];
  EXPECT_EQ(sensitivity["images"], 64);
  EXPECT_NEAR(sensitivity["tensors_share"].get<double>(), tensors, 1e-9);
  EXPECT_NEAR(sensitivity["weights_share"].get<double>(), weights, 1e-9);
  EXPECT_NEAR(sensitivity["summed_sqnr_db"].get<double>(), report["sqnr_db"].get<double>(), 2);
  ASSERT_FALSE(report["diagnosis"].empty());
  EXPECT_FALSE(report["diagnosis"][0]["action"].get<std::string>().empty());
}

TEST_F(PipelineTest, ReportSaysWhatBothNetworksSaidOfEveryImage) {
  options_.limit_evaluation = 50;
  evaluation_[7].label.reset();
  Recorder recorder;
  const auto output = Quantize(options_, MakeInputs(), recorder, {});
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  const json report = json::parse(output->report_json);
  const auto labels = report["predictions"]["label"].get<std::vector<int>>();
  const auto fp32 = report["predictions"]["fp32"].get<std::vector<int>>();
  const auto int8 = report["predictions"]["int8"].get<std::vector<int>>();
  ASSERT_EQ(labels.size(), 50u);
  ASSERT_EQ(fp32.size(), 50u);
  ASSERT_EQ(int8.size(), 50u);
  int right = 0, agree = 0, only_fp32 = 0, only_int8 = 0;
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(labels[i], i == 7 ? -1 : evaluation_[i].label);
    right += int8[i] == labels[i];
    agree += fp32[i] == int8[i];
    only_fp32 += fp32[i] == labels[i] && int8[i] != labels[i];
    only_int8 += int8[i] == labels[i] && fp32[i] != labels[i];
  }
  EXPECT_EQ(report["int8"]["top1"], right / 49.0);
  EXPECT_EQ(report["agreement"], agree / 50.0);
  const json& change = report["top1_change"];
  EXPECT_EQ(change["only_fp32"], only_fp32);
  EXPECT_EQ(change["only_int8"], only_int8);
  EXPECT_LE(change["interval"][0], change["difference"]);
  EXPECT_GE(change["interval"][1], change["difference"]);
  EXPECT_EQ(change["p_value"].get<double>(), eval::McNemarExact({49, only_fp32, only_int8}));
  const eval::Interval interval = eval::WilsonInterval(right, 49);
  EXPECT_EQ(report["int8"]["top1_interval"], (json{interval.low, interval.high}));
  const eval::Interval agreement = eval::WilsonInterval(agree, 50);
  EXPECT_EQ(report["agreement_interval"], (json{agreement.low, agreement.high}));
  double signal = 0, noise = 0;
  for (int i = 0; i < 50; ++i) {
    signal += report["predictions"]["signal"][i].get<double>();
    noise += report["predictions"]["noise"][i].get<double>();
  }
  EXPECT_NEAR(report["sqnr_db"].get<double>(), 10 * std::log10(signal / noise), 0.01);
  EXPECT_LT(report["sqnr_interval"][0], report["sqnr_db"]);
  EXPECT_GT(report["sqnr_interval"][1], report["sqnr_db"]);
}

TEST_F(PipelineTest, ResumingFromAnyCheckpointGivesTheSameBits) {
  Recorder undisturbed;
  const auto expected = Quantize(options_, MakeInputs(), undisturbed, {});
  ASSERT_TRUE(expected.ok()) << expected.status().ToString();
  ASSERT_GE(undisturbed.checkpoints.size(), 4u);
  for (const auto& checkpoint : undisturbed.checkpoints) {
    Inputs inputs = MakeInputs();
    inputs.checkpoint = checkpoint;
    Recorder recorder;
    const auto resumed = Quantize(options_, inputs, recorder, {});
    ASSERT_TRUE(resumed.ok()) << resumed.status().ToString();
    EXPECT_TRUE(recorder.warnings.empty());
    EXPECT_LT(recorder.checkpoints.size(), undisturbed.checkpoints.size()) << "it did not resume";
    EXPECT_EQ(resumed->artifact, expected->artifact);
    EXPECT_EQ(ResultOf(*resumed), ResultOf(*expected));
  }
}

TEST_F(PipelineTest, ADamagedOrForeignCheckpointStartsOver) {
  Recorder recorder;
  const auto expected = Quantize(options_, MakeInputs(), recorder, {});
  ASSERT_TRUE(expected.ok());
  std::vector<uint8_t> damaged = recorder.checkpoints[0];
  damaged[damaged.size() / 2] ^= 1;
  Inputs inputs = MakeInputs();
  inputs.checkpoint = damaged;
  Recorder again;
  const auto output = Quantize(options_, inputs, again, {});
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(again.warnings.size(), 1u);
  EXPECT_EQ(output->artifact, expected->artifact);

  inputs.checkpoint = recorder.checkpoints[0];
  options_.scheme = "symmetric";
  Recorder other;
  ASSERT_TRUE(Quantize(options_, inputs, other, {}).ok());
  ASSERT_EQ(other.warnings.size(), 1u);
  EXPECT_NE(other.warnings[0].find("another job"), std::string::npos);
}

TEST_F(PipelineTest, CancellationEndsTheJob) {
  CancellationToken token;
  Recorder recorder;
  recorder.cancel_at = {&token, "evaluate"};
  EXPECT_EQ(Quantize(options_, MakeInputs(), recorder, token).status().code(),
            StatusCode::kCancelled);
}

TEST_F(PipelineTest, LimitsAreTheFirstImages) {
  options_.limit_calibration = 70;
  options_.limit_evaluation = 33;
  Recorder recorder;
  const auto limited = Quantize(options_, MakeInputs(), recorder, {});
  ASSERT_TRUE(limited.ok());
  calibration_.resize(70);
  evaluation_.resize(33);
  options_.limit_calibration = options_.limit_evaluation = 0;
  const auto cut = Quantize(options_, MakeInputs(), recorder, {});
  ASSERT_TRUE(cut.ok());
  EXPECT_EQ(limited->artifact, cut->artifact);
  EXPECT_EQ(ResultOf(*limited), ResultOf(*cut));
}

TEST_F(PipelineTest, WrongInputIsNamed) {
  Recorder recorder;
  const auto error = [&](const Inputs& inputs) {
    return Quantize(options_, inputs, recorder, {}).status();
  };
  const auto expect = [](const Status& status, std::string_view text) {
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.ToString();
    EXPECT_NE(status.message().find(text), std::string::npos) << status.ToString();
  };
  const auto all = calibration_;
  calibration_.clear();
  expect(error(MakeInputs()), "calibration_dataset: has no images");
  calibration_ = all;

  evaluation_[3].label = 10;
  expect(error(MakeInputs()),
         "evaluation_dataset: image \"image1003\" has label 10; the model has 10 outputs, labels 0 "
         "to 9");
  evaluation_.clear();
  expect(error(MakeInputs()), "evaluation_dataset: has no images");
  calibration_[1] = MakeSample(1, 40);
  expect(error(MakeInputs()), "image1");
  calibration_[1].encoded = {1, 2, 3};
  expect(error(MakeInputs()), "image1");

  Inputs inputs = MakeInputs();
  const std::vector<uint8_t> nonsense(100, 'x');
  inputs.model = nonsense;
  EXPECT_EQ(error(inputs).code(), StatusCode::kInvalidArgument);
}

TEST_F(PipelineTest, WrongOptionsAreNamed) {
  const auto expect = [&](const std::function<void(Options&)>& change, std::string_view text) {
    Options options = options_;
    change(options);
    const Status status = Validate(options);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.ToString();
    EXPECT_NE(status.message().find(text), std::string::npos) << status.ToString();
  };
  EXPECT_TRUE(Validate(options_).ok());
  expect([](Options& o) { o.method = "magic"; },
         "method: unknown method \"magic\"; allowed are redistribution, minmax, moving_minmax, "
         "histogram, percentile, kl");
  expect([](Options& o) { o.scheme = "odd"; }, "allowed are hybrid, symmetric, asymmetric");
  expect([](Options& o) { o.weights = "per_row"; }, "allowed are per_channel, per_tensor");
  expect([](Options& o) { o.preset = "slow"; },
         "preset: unknown preset \"slow\"; allowed are fast, best");
  expect([](Options& o) { o.wide_count = -1; }, "wide_count: must be 0 (none) to 1000");
  expect([](Options& o) { o.wide_tensors = {""}; }, "wide_tensors[0]: must not be empty");
  expect([](Options& o) { o.input_shape = {3, 0, 32}; }, "input_shape: must be three positive");
  expect([](Options& o) { o.limit_calibration = -1; }, "limit_calibration: must not be negative");
}

TEST_F(PipelineTest, PixelsEnterExactlyWhereOneScaleFits) {
  options_.preprocess_json = R"({"scale": 0.00784313725490196, "mean": [1, 1, 1]})";
  options_.limit_evaluation = 8;
  const auto input_of = [&] {
    Recorder recorder;
    const auto output = Quantize(options_, MakeInputs(), recorder, {});
    EXPECT_TRUE(output.ok()) << output.status().ToString();
    const auto model = artifact::Parse(output->artifact);
    return model->tensors[model->input];
  };
  EXPECT_EQ(input_of().zero_point, 127);
  EXPECT_NEAR(input_of().scale, 1 / 127.5, 1e-8);
  options_.scheme = "symmetric";
  EXPECT_EQ(input_of().zero_point, 128);
  options_.scheme = "hybrid";
  options_.method = "minmax";
  EXPECT_EQ(input_of().zero_point, 128);
}

TEST_F(PipelineTest, CorrectionsRaiseTheSqnr) {
  options_.weights = "per_tensor";
  const auto sqnr = [&] {
    Recorder recorder;
    const auto output = Quantize(options_, MakeInputs(), recorder, {});
    EXPECT_TRUE(output.ok()) << output.status().ToString();
    return json::parse(output->report_json)["sqnr_db"].get<double>();
  };
  const double plain = sqnr();
  options_.bias_correction = true;
  const double corrected = sqnr();
  EXPECT_GT(corrected, plain + 0.5);
  options_.equalize = true;
  EXPECT_GT(sqnr(), corrected + 0.5);
  options_.equalize = options_.bias_correction = false;
  options_.adaround = true;
  EXPECT_GT(sqnr(), plain + 1);
  options_.bias_correction = true;
  EXPECT_GT(sqnr(), corrected + 1);
}

TEST_F(PipelineTest, ReportSaysWhatWasEqualized) {
  options_.equalize = true;
  options_.limit_calibration = options_.limit_evaluation = 8;
  Recorder recorder;
  const auto output = Quantize(options_, MakeInputs(), recorder, {});
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  const json report = json::parse(output->report_json);
  ASSERT_FALSE(report["equalized"].empty());
  std::set<std::string> tensors;
  for (const json& layer : report["layers"]) tensors.insert(layer["name"]);
  for (const json& pair : report["equalized"]) {
    EXPECT_TRUE(tensors.contains(pair["tensor"])) << pair;
    EXPECT_FALSE(pair["producer"].get<std::string>().empty());
    EXPECT_FALSE(pair["consumers"].empty());
    EXPECT_GT(pair["smallest_factor"], 0);
    EXPECT_LT(pair["smallest_factor"], pair["largest_factor"]);
    EXPECT_GT(pair["gain_db"], 0.4) << "a tenth at least";
  }
}

TEST_F(PipelineTest, LearnedRoundingIsRepeatable) {
  options_.adaround = options_.bias_correction = true;
  options_.limit_calibration = 40;
  options_.limit_evaluation = 8;
  Recorder recorder;
  const auto undisturbed = Quantize(options_, MakeInputs(), recorder, {});
  ASSERT_TRUE(undisturbed.ok()) << undisturbed.status().ToString();
  const json learned = json::parse(undisturbed->report_json)["adaround"];
  ASSERT_GT(learned.size(), 3u);
  double gain = 0;
  for (const json& layer : learned) {
    EXPECT_GT(layer["outputs"], 0);
    EXPECT_LE(layer["learned_outputs"], layer["outputs"]);
    gain += layer["gain_db"].get<double>();
  }
  EXPECT_GT(gain, 1);
  EXPECT_THAT(recorder.phases, testing::Contains("adaround"));
  // Other threads, and checkpoints: after half of the layers, and after the last.
  const auto& checkpoints = recorder.checkpoints;
  ASSERT_GT(checkpoints.size(), learned.size());
  const std::vector<std::vector<uint8_t>> starts = {
      {}, checkpoints[checkpoints.size() - 2 - learned.size() / 2], checkpoints.back()};
  options_.threads = 2;
  for (const auto& start : starts) {
    Inputs inputs = MakeInputs();
    inputs.checkpoint = start;
    Recorder again;
    const auto output = Quantize(options_, inputs, again, {});
    ASSERT_TRUE(output.ok()) << output.status().ToString();
    EXPECT_TRUE(again.warnings.empty());
    EXPECT_EQ(output->artifact, undisturbed->artifact);
    EXPECT_EQ(json::parse(output->report_json)["adaround"], learned);
  }
}

TEST_F(PipelineTest, LearnedRoundingCanBeCancelled) {
  options_.adaround = true;
  CancellationToken token;
  Recorder recorder;
  recorder.cancel_at = {&token, "adaround"};
  EXPECT_EQ(Quantize(options_, MakeInputs(), recorder, token).status().code(),
            StatusCode::kCancelled);
  EXPECT_EQ(recorder.phases.back(), "adaround");
}

TEST_F(PipelineTest, CorrectionsThatAreOffLeaveNoTrace) {
  Recorder recorder;
  const auto fast = Quantize(options_, MakeInputs(), recorder, {});
  options_.bias_correction = options_.equalize = options_.adaround = false;
  const auto off = Quantize(options_, MakeInputs(), recorder, {});
  EXPECT_EQ(off->artifact, fast->artifact);
  EXPECT_TRUE(json::parse(off->report_json)["adaround"].empty());
  EXPECT_TRUE(json::parse(off->report_json)["equalized"].empty());
}

// The names of the tensors that have 16 bits in the artifact.
std::vector<std::string> WideTensors(const std::vector<uint8_t>& artifact) {
  std::vector<std::string> names;
  const auto model = artifact::Parse(artifact);
  EXPECT_TRUE(model.ok()) << model.status().ToString();
  for (const artifact::Tensor& tensor : model->tensors) {
    if (tensor.type == artifact::DataType::kUint16) names.push_back(tensor.name);
  }
  return names;
}

TEST_F(PipelineTest, TheOutputHasSixteenBits) {
  Recorder recorder;
  const auto output = Quantize(options_, MakeInputs(), recorder, {});
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  const json report = json::parse(output->report_json);
  EXPECT_EQ(WideTensors(output->artifact),
            std::vector<std::string>{report["layers"].back()["name"]});
  EXPECT_EQ(report["layers"].back()["bits"], 16);
  EXPECT_EQ(report["wide"], (json{{"count", 0},
                                  {"tensors", json::array()},
                                  {"ms_per_image_8bit", nullptr},
                                  {"ms_per_image", nullptr}}));
}

TEST_F(PipelineTest, TheWorstTensorsAreKeptWide) {
  const auto report = [&](std::vector<std::string>* wide = nullptr) {
    Recorder recorder;
    const auto output = Quantize(options_, MakeInputs(), recorder, {});
    EXPECT_TRUE(output.ok()) << output.status().ToString();
    if (!output.ok()) return json::object();
    if (wide) *wide = WideTensors(output->artifact);
    return json::parse(output->report_json);
  };
  const json plain = report();
  options_.wide_count = 2;
  std::vector<std::string> in_artifact;
  const json two = report(&in_artifact);
  const auto kept = two["wide"]["tensors"].get<std::vector<std::string>>();
  EXPECT_EQ(kept.size(), 2u);
  EXPECT_EQ(in_artifact.size(), 3u) << "they and the output";
  EXPECT_GT(two["sqnr_db"].get<double>(), plain["sqnr_db"].get<double>() + 0.5);
  EXPECT_GT(two["wide"]["ms_per_image_8bit"], 0);
  EXPECT_GT(two["wide"]["ms_per_image"], 0);

  // The same by name.
  options_.wide_count = 0;
  options_.wide_tensors = kept;
  const json named = report();
  EXPECT_EQ(named["wide"]["tensors"], two["wide"]["tensors"]);
  EXPECT_EQ(named["sqnr_db"], two["sqnr_db"]);
}

TEST_F(PipelineTest, ReportAndArtifactSayHowTheyWereMade) {
  options_.limit_calibration = options_.limit_evaluation = 8;
  options_.method = "percentile";
  options_.preset = "best";
  options_.bias_correction = options_.equalize = options_.adaround = false;
  Recorder recorder;
  const auto output = Quantize(options_, MakeInputs(), recorder, {});
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  const json expected = {{"bias_correction", false}, {"equalize", false}, {"adaround", false}};
  for (const json& made : {json::parse(output->report_json),
                           json::parse(artifact::Parse(output->artifact)->metadata_json)}) {
    EXPECT_EQ(made["method"], "percentile");
    EXPECT_EQ(made["preset"], "best");
    EXPECT_EQ(made["corrections"], expected);
    EXPECT_EQ(made["wide"]["count"], 0);
    EXPECT_EQ(made["wide"]["tensors"], json::array());
  }
}

TEST_F(PipelineTest, Int8AndFp32AreTimedWhereThatIsAsked) {
  options_.limit_calibration = options_.limit_evaluation = 8;
  Recorder recorder;
  json report = json::parse(Quantize(options_, MakeInputs(), recorder, {})->report_json);
  EXPECT_FALSE(report.contains("speed"));
  options_.compare_speed = true;
  const auto output = Quantize(options_, MakeInputs(), recorder, {});
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  report = json::parse(output->report_json);
  const json& speed = report.at("speed");
  EXPECT_GT(speed.at("int8_ms"), 0);
  EXPECT_GT(speed.at("fp32_ms"), 0);
  EXPECT_GE(speed.at("rounds"), 3);
  EXPECT_EQ(speed.at("fp32_by"), "torchscript");
  EXPECT_EQ(speed.at("kernels"), std::string(*runtime::KernelPath()));
}

// Each tensor's clipped elements, counted here on the images that chose the ranges.
TEST_F(PipelineTest, TheArtifactSaysHowOftenCalibrationClips) {
  options_.limit_calibration = 24;
  options_.limit_evaluation = 8;
  Recorder recorder;
  const auto output = Quantize(options_, MakeInputs(), recorder, {});
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  EXPECT_THAT(recorder.phases, ::testing::Contains("clipping"));
  const artifact::Model model = *artifact::Parse(output->artifact);
  const artifact::Clipping clipping = *artifact::ReadClipping(model);
  EXPECT_EQ(clipping.images, 24);
  ASSERT_GT(clipping.tensors.size(), 5u);
  EXPECT_EQ(clipping.tensors[0].tensor, model.input);

  std::map<int32_t, int64_t> first, last;
  const auto session = *runtime::Session::Create(*runtime::LoadedModel::Create(model));
  const auto preprocess = *data::Preprocess::FromJson(model.preprocess_json);
  const auto reader = *MakeInputs().open_calibration();
  std::vector<float> input(session->model().input_elements());
  std::vector<float> logits(session->model().output_elements());
  for (int i = 0; i < 24; ++i) {
    const data::Sample sample = **reader->Next();
    ASSERT_TRUE(
        data::Apply(preprocess, *data::DecodeImage(sample.encoded), model.input_shape, input).ok());
    ASSERT_TRUE(session
                    ->Run(1, input, logits,
                          [&](int32_t tensor, std::span<const uint8_t> levels) {
                            first[tensor] += std::ranges::count(levels, 0);
                            last[tensor] += std::ranges::count(levels, 255);
                          })
                    .ok());
  }
  int64_t all = 0;
  for (const artifact::TensorClipping& tensor : clipping.tensors) {
    EXPECT_EQ(tensor.clipped,
              (tensor.low ? first[tensor.tensor] : 0) + (tensor.high ? last[tensor.tensor] : 0))
        << model.tensors[tensor.tensor].name;
    all += tensor.clipped;
  }
  EXPECT_GT(all, 0);
}

TEST(Checkpoint, SurvivesNeitherCutsNorFlips) {
  const Checkpoint checkpoint{"digest", 1.5, {1, 2, 3}, {5, 6}, {4}};
  const std::vector<uint8_t> bytes = checkpoint.Serialize();
  ASSERT_TRUE(Checkpoint::Parse(bytes, "digest").ok());
  for (size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_EQ(Checkpoint::Parse(std::span(bytes).first(i), "digest").status().code(),
              StatusCode::kDataLoss);
    std::vector<uint8_t> flipped = bytes;
    flipped[i] ^= 0x40;
    EXPECT_EQ(Checkpoint::Parse(flipped, "digest").status().code(), StatusCode::kDataLoss) << i;
  }
}

}  // namespace
}  // namespace haq::pipeline
