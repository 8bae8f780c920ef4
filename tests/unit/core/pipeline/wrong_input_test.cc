// Images and networks that nobody should have sent, on networks written here.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "core/quant/methods.h"
#include "tests/unit/core/import/torchscript/script.h"
#include "tests/unit/core/pipeline/pipeline_fixture.h"

namespace haq::pipeline {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr int kImages = 70;  // more than one batch

data::Sample Plain(int index, uint8_t level) {
  const data::Image image{8, 8, std::vector<uint8_t>(8 * 8 * 3, level)};
  return {"image" + std::to_string(index), *data::EncodePng(image), index % 10};
}

// conv1 -> relu -> conv2 -> linear over [3, 8, 8] images.
class WrongInputTest : public PipelineTest {
 protected:
  void SetUp() override {
    options_.input_shape = {3, 8, 8};
    options_.checkpoint_interval_ms = 0;
    options_.threads = 1;
    for (int i = 0; i < kImages; ++i) calibration_.push_back(MakeSample(i, 8));
    for (int i = 0; i < kImages; ++i) evaluation_.push_back(MakeSample(1000 + i, 8));
    module_ = import::MakeModule(
        "def forward(self, x):\n"
        "  x = torch.relu(torch.conv2d(x, self.w1, self.b1))\n"
        "  x = torch.conv2d(x, self.w2, self.b2)\n"
        "  return torch.linear(torch.flatten(x, 1), self.w3)\n",
        {{"w1", {4, 3, 3, 3}}, {"b1", {4}}, {"w2", {4, 4, 3, 3}}, {"b2", {4}}, {"w3", {10, 64}}});
    Buffer("w1").mul_(0.2);
    Buffer("w2").mul_(0.2);
    Buffer("w3").mul_(0.2);
  }

  at::Tensor Buffer(const std::string& name) { return module_.attr(name).toTensor(); }

  Result<Output> Run() {
    model_ = import::Save(module_);
    recorder_ = {};
    return Quantize(options_, MakeInputs(), recorder_, {});
  }

  // The report of a run that must succeed.
  json Report() {
    const auto output = Run();
    EXPECT_TRUE(output.ok()) << output.status().ToString();
    if (!output.ok()) return json::object();
    json report = json::parse(output->report_json);
    EXPECT_EQ(report["warnings"].get<std::vector<std::string>>(), recorder_.warnings);
    return report;
  }

  // Under every method and scheme, and with all corrections; `check` is given the report.
  void ForEveryChoice(const std::function<void(const json&)>& check) {
    for (const std::string& method : quant::MethodNames()) {
      for (const char* scheme : {"hybrid", "symmetric", "asymmetric"}) {
        for (const char* weights : {"per_channel", "per_tensor"}) {
          SCOPED_TRACE(method + " " + scheme + " " + weights);
          options_.method = method;
          options_.scheme = scheme;
          options_.weights = weights;
          check(Report());
        }
      }
    }
    SCOPED_TRACE("all corrections");
    options_.scheme = "hybrid";
    options_.method = "redistribution";
    options_.bias_correction = options_.equalize = options_.adaround = true;
    check(Report());
    options_.bias_correction = options_.equalize = options_.adaround = std::nullopt;
  }

  void ExpectError(StatusCode code, const testing::Matcher<const std::string&>& message) {
    const Status status = Run().status();
    EXPECT_EQ(status.code(), code) << status.ToString();
    EXPECT_THAT(status.message(), message);
  }

  torch::jit::Module module_{"unset"};
  Recorder recorder_;
};

// Before any image is looked at.
TEST_F(WrongInputTest, LayersThatAreNotMadeForIntegersEndTheJobAtOnce) {
  module_ = import::MakeModule(
      "def forward(self, x):\n"
      "  return torch.softmax(x, 1).mean([2, 3])\n",
      {});
  const Status status = Run().status();
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(status.message(), HasSubstr("softmax is supported as the last operator"));
  EXPECT_THAT(recorder_.phases, ElementsAre("import"));
}

TEST_F(WrongInputTest, OrdinaryImagesGiveNoWarning) {
  ForEveryChoice([&](const json& report) {
    EXPECT_THAT(recorder_.warnings, IsEmpty());
    EXPECT_GT(report["sqnr_db"], 15);
  });
}

TEST_F(WrongInputTest, OneCalibrationImageWorksWithAWarning) {
  calibration_.resize(1);
  ForEveryChoice([&](const json& report) {
    EXPECT_THAT(
        recorder_.warnings,
        ElementsAre(StartsWith("calibration_dataset: ranges are chosen from 1 image only")));
    EXPECT_GT(report["sqnr_db"], 5);
  });
}

TEST_F(WrongInputTest, IdenticalCalibrationImagesWorkWithAWarning) {
  for (int i = 0; i < kImages; ++i) calibration_[i].encoded = calibration_[0].encoded;
  const auto expect = [&] {
    EXPECT_THAT(recorder_.warnings, ElementsAre("calibration_dataset: its 70 images are all the "
                                                "same to the network"));
  };
  EXPECT_GT(Report()["sqnr_db"], 5);
  expect();
  // The warning does not depend on where the job was interrupted.
  const auto checkpoints = recorder_.checkpoints;
  ASSERT_GE(checkpoints.size(), 2u);
  for (const auto& checkpoint : checkpoints) {
    Inputs inputs = MakeInputs();
    inputs.checkpoint = checkpoint;
    recorder_ = {};
    ASSERT_TRUE(Quantize(options_, inputs, recorder_, {}).ok());
    expect();
  }
  calibration_.back() = MakeSample(77, 8);
  Report();
  EXPECT_THAT(recorder_.warnings, IsEmpty());
}

TEST_F(WrongInputTest, BlackImagesWorkWithAWarning) {
  for (int i = 0; i < kImages; ++i) calibration_[i] = Plain(i, 0);
  ForEveryChoice([&](const json& report) {
    EXPECT_THAT(recorder_.warnings, Contains(HasSubstr("all the same to the network")));
    EXPECT_THAT(recorder_.warnings, Contains("tensor \"input\", the network's input: had no value "
                                             "but 0 in calibration"));
    EXPECT_EQ(report["images"], kImages);
  });
  for (int i = 0; i < kImages; ++i) evaluation_[i] = Plain(i, 0);
  options_.method = "redistribution";
  EXPECT_GT(Report()["sqnr_db"], 15) << "what was calibrated for";
}

TEST_F(WrongInputTest, ATensorThatIsConstant) {
  Buffer("w1").zero_();
  Buffer("b1").fill_(0.75);
  ForEveryChoice([&](const json& report) {
    EXPECT_THAT(recorder_.warnings, Contains(testing::MatchesRegex(
                                        "tensor \"relu.*\", output of layer \"relu.*\" "
                                        "\\(clamp\\): had no value but 0.75 in calibration")));
    EXPECT_EQ(report["agreement"], 1);
    EXPECT_GT(report["sqnr_db"], 20);
  });
}

TEST_F(WrongInputTest, ATensorThatIsAllZero) {
  Buffer("w2").zero_();
  Buffer("b2").zero_();
  ForEveryChoice([&](const json& report) {
    EXPECT_THAT(recorder_.warnings,
                Contains(testing::MatchesRegex("tensor \"conv2d.*\", output of layer \"conv2d.*\" "
                                               "\\(conv2d\\): had no value but 0 in calibration")));
    EXPECT_EQ(report["agreement"], 1);
    EXPECT_TRUE(report["sqnr_db"].is_null() || report["sqnr_db"] == 0) << report["sqnr_db"];
  });
}

TEST_F(WrongInputTest, ALayerWithAnAllZeroChannel) {
  Buffer("w1")[2].zero_();
  Buffer("w2")[1].zero_();
  Buffer("w3")[5].zero_();
  for (const double bias : {0.0, 0.5}) {
    Buffer("b1")[2].fill_(bias);
    Buffer("b2")[1].fill_(bias);
    ForEveryChoice([&](const json& report) {
      EXPECT_THAT(recorder_.warnings, IsEmpty());
      // The entropy search takes the channel's one value for what matters most.
      if (report["method"] == "kl") return;
      EXPECT_GT(report["sqnr_db"], 15);
    });
  }
}

TEST_F(WrongInputTest, ActivationsThatAreInfiniteAreNamedWithTheirLayer) {
  Buffer("w2").fill_(3e38f);
  ExpectError(
      StatusCode::kInvalidArgument,
      testing::MatchesRegex(
          "calibration_dataset: images \"image0\" to \"image63\": tensor \"conv2d.*\", "
          "output of layer \"conv2d.*\" \\(conv2d\\): [0-9]+ of 4096 values are NaN or infinite"));
  EXPECT_THAT(recorder_.phases, ElementsAre("import")) << "before any range is chosen";
}

TEST_F(WrongInputTest, WeightsThatAreNotFiniteAreNamedWithTheirLayer) {
  const at::Tensor original = Buffer("w2").clone();
  for (const float bad : {std::nanf(""), -std::numeric_limits<float>::infinity()}) {
    Buffer("w2").copy_(original)[1][2][0][1].fill_(bad);
    ExpectError(
        StatusCode::kInvalidArgument,
        testing::MatchesRegex("aten::conv2d at the top level \\(.*:3\\): 'weight' has values "
                              "that are NaN or infinite"));
  }
}

TEST_F(WrongInputTest, AnEvaluationImageWithoutAnAnswerIsNamed) {
  for (int i = 0; i < kImages; ++i) calibration_[i] = Plain(i, 0);
  evaluation_.assign(1, Plain(0, 0));
  evaluation_.push_back(Plain(1, 255));
  Buffer("w1").fill_(3e38f);
  ExpectError(StatusCode::kInvalidArgument,
              testing::MatchesRegex("evaluation_dataset: output [0-9] of the FP32 network is "
                                    "(-?inf|-?nan) for image \"image1\""));
}

TEST_F(WrongInputTest, AWideTensorThatDoesNotExistIsAnsweredWithNearNames) {
  options_.wide_tensors = {"inptu"};
  ExpectError(
      StatusCode::kInvalidArgument,
      StartsWith("wide_tensors[0]: the network has no tensor \"inptu\"; near names are input, "));
  EXPECT_THAT(recorder_.phases, ElementsAre("import"));
}

}  // namespace
}  // namespace haq::pipeline
