// Each finding is made on a network that has the fault, and not on its twin that has not.
#include "core/pipeline/diagnosis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/support/seed.h"

namespace haq::pipeline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr int64_t kSide = 8, kImages = 40;
const ir::Shape kImage{1, 8, kSide, kSide};

class DiagnosisTest : public testing::Test {
 protected:
  std::vector<float> Random(size_t count, float sigma = 1) {
    std::normal_distribution<float> normal(0, sigma);
    std::vector<float> values(count);
    for (float& value : values) value = normal(random_);
    return values;
  }
  // kImages images; nothing is further than 3 from zero.
  std::vector<float> Images(float factor = 1, int64_t side = kSide) {
    std::vector<float> images = Random(kImages * 3 * side * side);
    for (float& value : images) value = factor * std::clamp(value, -3.0f, 3.0f);
    return images;
  }
  ir::Conv2d Conv(int64_t out, int64_t in, float factor = 1) {
    ir::Conv2d conv;
    conv.weight = {{out, in, 1, 1}, Random(out * in, factor / std::sqrt(float(in)))};
    return conv;
  }

  // x -> conv, which the tests change -> relu -> last
  ir::Graph Plain(ir::Conv2d conv, int64_t side = kSide) {
    ir::Graph g;
    const ir::Shape image{1, 8, side, side};
    g.input = g.AddValue("x", {1, 3, side, side});
    ir::ValueId value = g.AddNode("conv", std::move(conv), {g.input}, image);
    value = g.AddNode("relu", ir::Clamp{.low = 0}, {value}, image);
    g.output = g.AddNode("last", Conv(8, 8), {value}, image);
    return g;
  }

  std::vector<Finding> DiagnoseGraph(const ir::Graph& graph, const std::vector<float>& calibration,
                                     const std::vector<float>& evaluation) {
    auto executor = *float_exec::Executor::Create(graph, 2);
    calib::Calibrator calibrator(graph, options_.method);
    EXPECT_TRUE(calibrator.ObserveBatch(*executor, kImages, calibration).ok());
    const auto ranges = *calibrator.ChooseRanges();
    lower::Options lower_options;
    lower_options.weights = *quant::ParseWeightGranularity(options_.weights);
    lower_options.wide = wide_;
    auto lowered = lower::Lower(graph, ranges, lower_options);
    EXPECT_TRUE(lowered.ok()) << lowered.status().ToString();
    const auto figures = *MakeTensorFigures(calibrator, *lowered, {});
    Sensitivity sensitivity(graph, *lowered);
    EXPECT_TRUE(sensitivity.Add(*executor, kImages, evaluation, [] { return Status(); }).ok());
    return Diagnose({options_, graph, *lowered, calibrator, ranges, figures, sensitivity});
  }
  std::vector<Finding> DiagnoseGraph(const ir::Graph& graph) {
    return DiagnoseGraph(graph, Images(), Images());
  }

  static const Finding* Find(const std::vector<Finding>& findings, std::string_view finding,
                             std::string_view tensor = "") {
    for (const Finding& candidate : findings) {
      if (candidate.finding != finding || (!tensor.empty() && candidate.tensor != tensor)) continue;
      EXPECT_FALSE(candidate.text.empty());
      EXPECT_FALSE(candidate.action.empty());
      return &candidate;
    }
    return nullptr;
  }

  std::mt19937 random_{static_cast<uint32_t>(test::Seed())};
  Options options_;
  std::vector<ir::ValueId> wide_;  // kept at 16 bits
};

TEST_F(DiagnosisTest, RangeOutlier) {
  options_.method = "minmax";
  const ir::Graph graph = Plain(Conv(8, 3));
  std::vector<float> images = Images();
  const std::vector<float> clean = images;
  images[5] = 60;  // twenty times the largest of the others
  const auto findings = DiagnoseGraph(graph, images, clean);
  const Finding* finding = Find(findings, "range_outlier", "x");
  ASSERT_NE(finding, nullptr);
  EXPECT_GT(finding->figures["ratio"].get<double>(), 8);
  EXPECT_LT(finding->figures["ratio"].get<double>(), 12);
  // To leave it out would cost more than what the others gain: it is one of a few thousand.
  EXPECT_EQ(finding->action, "keep it at 16 bits: --wide x");
  EXPECT_EQ(Find(findings, "resolution", "x"), nullptr);
  EXPECT_EQ(Find(DiagnoseGraph(graph, clean, clean), "range_outlier"), nullptr);
}

TEST_F(DiagnosisTest, AnOutlierThatAnotherMethodLeavesOut) {
  options_.method = "minmax";
  std::vector<float> images = Images(1, 128);
  images[5] = 27;  // one of two millions
  const auto findings = DiagnoseGraph(Plain(Conv(8, 3), 128), images, images);
  const Finding* finding = Find(findings, "range_outlier", "x");
  ASSERT_NE(finding, nullptr);
  EXPECT_THAT(finding->action, HasSubstr("--method redistribution"));
  EXPECT_THAT(finding->action, HasSubstr("--wide x"));
}

TEST_F(DiagnosisTest, Saturation) {
  const ir::Graph graph = Plain(Conv(8, 3));
  const auto findings = DiagnoseGraph(graph, Images(0.5f), Images());
  const Finding* finding = Find(findings, "saturation", "x");
  ASSERT_NE(finding, nullptr);
  EXPECT_GT(finding->figures["evaluated_share"].get<double>(), 0.1);
  EXPECT_LT(finding->figures["calibrated_share"].get<double>(), 0.01);
  EXPECT_EQ(finding->figures["calibration_images"], kImages);
  EXPECT_THAT(finding->action, HasSubstr("calibrate with more images"));
  EXPECT_THAT(finding->action, HasSubstr("--method minmax"));
  EXPECT_EQ(Find(DiagnoseGraph(graph), "saturation"), nullptr);
  options_.method = "minmax";
  EXPECT_THAT(Find(DiagnoseGraph(graph, Images(0.5f), Images()), "saturation", "x")->action,
              Not(HasSubstr("--method")));
}

// What a max pooling leaves out is no loss.
TEST_F(DiagnosisTest, ValuesThatAPoolingLeavesOutAreNotSaturated) {
  ir::Graph g;
  g.input = g.AddValue("x", {1, 3, kSide, kSide});
  ir::ValueId value = g.AddNode("conv", Conv(8, 3), {g.input}, kImage);
  value = g.AddNode("pool", ir::MaxPool2d{{4, 4}, {4, 4}, {1, 1}, {}}, {value}, {1, 8, 2, 2});
  g.output = g.AddNode("last", Conv(8, 8), {value}, {1, 8, 2, 2});
  const std::vector<float> images = Images();
  EXPECT_EQ(Find(DiagnoseGraph(g, images, images), "saturation"), nullptr);
}

// a is read by two convolutions, so that neither takes the addition over.
ir::Graph Sum(ir::Conv2d a, ir::Conv2d b, ir::Conv2d last) {
  ir::Graph g;
  g.input = g.AddValue("x", {1, 3, kSide, kSide});
  const ir::ValueId left = g.AddNode("a", std::move(a), {g.input}, kImage);
  const ir::ValueId right = g.AddNode("b", std::move(b), {g.input}, kImage);
  const ir::ValueId sum = g.AddNode("sum", ir::Add{}, {left, right}, kImage);
  const ir::ValueId one = g.AddNode("one", last, {left}, kImage);
  const ir::ValueId two = g.AddNode("two", last, {right}, kImage);
  ir::ValueId value = g.AddNode("sum2", ir::Add{}, {one, two}, kImage);
  value = g.AddNode("sum3", ir::Add{}, {value, sum}, kImage);
  g.output = g.AddNode("last", std::move(last), {value}, kImage);
  return g;
}

TEST_F(DiagnosisTest, MismatchedScalesAtAnAdd) {
  const ir::Conv2d last = Conv(8, 8);
  const auto findings = DiagnoseGraph(Sum(Conv(8, 3), Conv(8, 3, 0.05f), last));
  const Finding* finding = Find(findings, "mismatched_scales", "sum");
  ASSERT_NE(finding, nullptr);
  EXPECT_EQ(finding->figures["input"], "b");
  EXPECT_GT(finding->figures["bits_lost"].get<double>(), 3);
  EXPECT_LT(finding->figures["bits_lost"].get<double>(), 6);
  EXPECT_THAT(finding->action, HasSubstr("--wide sum"));
  EXPECT_EQ(Find(DiagnoseGraph(Sum(Conv(8, 3), Conv(8, 3), last)), "mismatched_scales"), nullptr);
}

TEST_F(DiagnosisTest, MismatchedScalesBesideATensorOfSixteenBits) {
  const ir::Graph graph = Sum(Conv(8, 3), Conv(8, 3, 0.05f), Conv(8, 8));
  const auto value = [&](const std::string& name) {
    for (size_t i = 0; i < graph.values.size(); ++i) {
      if (graph.values[i].name == name) return static_cast<ir::ValueId>(i);
    }
    return ir::ValueId{-1};
  };
  wide_ = {value("a")};
  const auto findings = DiagnoseGraph(graph);
  const Finding* finding = Find(findings, "mismatched_scales", "sum");
  ASSERT_NE(finding, nullptr);
  EXPECT_EQ(finding->figures["input"], "b");
  // What has 16 bits already needs no more.
  wide_ = {value("sum")};
  for (const Finding& left : DiagnoseGraph(graph)) EXPECT_NE(left.tensor, "sum") << left.text;
}

// The convolution adds the residual x2 to its sums.
TEST_F(DiagnosisTest, MismatchedScalesAtAnAddThatAConvolutionDoes) {
  const auto graph = [&](float factor) {
    ir::Graph g;
    g.input = g.AddValue("x", {1, 3, kSide, kSide});
    const ir::ValueId residual = g.AddNode("residual", Conv(8, 3, factor), {g.input}, kImage);
    const ir::ValueId branch = g.AddNode("branch", Conv(8, 3), {g.input}, kImage);
    const ir::ValueId sum = g.AddNode("sum", ir::Add{}, {branch, residual}, kImage);
    ir::ValueId other = g.AddNode("other", Conv(8, 8, 1 / factor), {residual}, kImage);
    other = g.AddNode("sum2", ir::Add{}, {other, sum}, kImage);
    g.output = g.AddNode("last", Conv(8, 8), {other}, kImage);
    return g;
  };
  const auto findings = DiagnoseGraph(graph(0.05f));
  const Finding* finding = Find(findings, "mismatched_scales", "sum");
  ASSERT_NE(finding, nullptr);
  EXPECT_EQ(finding->figures["input"], "residual");
  EXPECT_EQ(Find(DiagnoseGraph(graph(1)), "mismatched_scales"), nullptr);
}

// Of a and b, and of what `again` makes of b where it has weights.
ir::Graph Concatenation(ir::Conv2d a, ir::Conv2d b, ir::Conv2d last, const ir::Conv2d& again) {
  ir::Graph g;
  g.input = g.AddValue("x", {1, 3, kSide, kSide});
  const ir::ValueId left = g.AddNode("a", std::move(a), {g.input}, kImage);
  const ir::ValueId right = g.AddNode("b", std::move(b), {g.input}, kImage);
  std::vector<ir::ValueId> parts{left, right};
  if (!again.weight.data.empty()) parts.push_back(g.AddNode("again", again, {right}, kImage));
  const ir::Shape all{1, int64_t(8 * parts.size()), kSide, kSide};
  const ir::ValueId value = g.AddNode("all", ir::Concat{1}, parts, all);
  g.output = g.AddNode("last", std::move(last), {value}, kImage);
  return g;
}

TEST_F(DiagnosisTest, MismatchedScalesAtAConcatenation) {
  for (const bool shared : {true, false}) {
    ir::Conv2d last = Conv(8, shared ? 16 : 24);
    for (size_t i = 0; i < last.weight.data.size(); ++i) {
      const size_t channel = i % last.weight.shape[1];
      if (channel >= 8 && channel < 16) last.weight.data[i] *= 20;  // so that b matters
    }
    const auto graph = [&](float factor) {
      return Concatenation(Conv(8, 3), Conv(8, 3, factor), last,
                           shared ? ir::Conv2d() : Conv(8, 8, 1 / factor));
    };
    const auto findings = DiagnoseGraph(graph(0.05f));
    // A part that only the concatenation reads shares its scale; another one is rounded to it.
    const Finding* finding = Find(findings, "mismatched_scales", shared ? "b" : "all");
    ASSERT_NE(finding, nullptr) << shared;
    EXPECT_EQ(finding->figures["input"], "b");
    EXPECT_GT(finding->figures["bits_lost"].get<double>(), 3);
    EXPECT_LT(finding->figures["bits_lost"].get<double>(), 6);
    EXPECT_EQ(Find(DiagnoseGraph(graph(1)), "mismatched_scales"), nullptr) << shared;
  }
}

TEST_F(DiagnosisTest, WeightSpread) {
  ir::Conv2d conv = Conv(8, 3);
  for (float& weight : conv.weight.data) weight = std::clamp(weight, -1.0f, 1.0f);
  for (size_t i = 0; i < conv.weight.data.size(); i += 3) conv.weight.data[i] = 1;  // none is lost
  const ir::Conv2d clean = conv;
  for (int i = 0; i < 3; ++i) conv.weight.data[i] *= 30;  // of one channel
  conv.weight.data[3] = conv.weight.data[4] = conv.weight.data[5] = 1e-4f;
  const ir::Graph graph = Plain(conv);
  EXPECT_EQ(Find(DiagnoseGraph(graph), "weight_spread"), nullptr);  // per channel
  options_.weights = "per_tensor";
  const auto findings = DiagnoseGraph(graph);
  const Finding* finding = Find(findings, "weight_spread", "relu");
  ASSERT_NE(finding, nullptr);
  EXPECT_GE(finding->figures["bits_lost"].get<double>(), 3);
  EXPECT_EQ(finding->figures["channels_lost"], 1);
  EXPECT_THAT(finding->action, HasSubstr("--weights per_channel"));
  EXPECT_THAT(finding->action, HasSubstr("--equalize on"));
  EXPECT_EQ(Find(findings, "weights", "relu"), nullptr);
  EXPECT_EQ(Find(DiagnoseGraph(Plain(clean)), "weight_spread"), nullptr);
}

TEST_F(DiagnosisTest, Weights) {
  // The largest weight of a channel is 127 steps; the others lie `between` two levels.
  const auto graph = [&](float between) {
    ir::Conv2d conv = Conv(8, 3);
    for (size_t i = 0; i < conv.weight.data.size(); ++i) {
      const float level = std::nearbyint(conv.weight.data[i] * 30);
      conv.weight.data[i] = i % 3 == 0 ? 1 : std::clamp((level + between) / 127, -1.0f, 1.0f);
    }
    return Plain(conv);
  };
  const auto findings = DiagnoseGraph(graph(0.45f));
  const Finding* finding = Find(findings, "weights", "relu");
  ASSERT_NE(finding, nullptr);
  EXPECT_THAT(finding->action, HasSubstr("--adaround on"));
  EXPECT_EQ(Find(DiagnoseGraph(graph(0)), "weights", "relu"), nullptr);
  options_.adaround = true;
  EXPECT_THAT(Find(DiagnoseGraph(graph(0.45f)), "weights", "relu")->action,
              Not(HasSubstr("--adaround")));
}

TEST_F(DiagnosisTest, DeadChannels) {
  ir::Conv2d conv = Conv(8, 3);
  const ir::Conv2d clean = conv;
  conv.bias.assign(8, 0);
  conv.bias[2] = -100;                                    // the relu lets nothing through
  for (int i = 15; i < 18; ++i) conv.weight.data[i] = 0;  // channel 5
  const auto findings = DiagnoseGraph(Plain(conv));
  const Finding* finding = Find(findings, "dead_channels", "relu");
  ASSERT_NE(finding, nullptr);
  EXPECT_THAT(finding->figures["channels"].get<std::vector<int>>(), ElementsAre(2, 5));
  EXPECT_EQ(finding->figures["count"], 2);
  EXPECT_EQ(finding->figures["of"], 8);
  EXPECT_EQ(finding->share, 0);
  EXPECT_EQ(Find(DiagnoseGraph(Plain(clean)), "dead_channels"), nullptr);
}

TEST_F(DiagnosisTest, ResolutionIsWhatIsLeft) {
  const auto findings = DiagnoseGraph(Plain(Conv(8, 3)));
  const Finding* finding = Find(findings, "resolution", "relu");
  ASSERT_NE(finding, nullptr);
  EXPECT_NEAR(finding->figures["gain_db"].get<double>(), -10 * std::log10(1 - finding->share),
              1e-9);
  EXPECT_THAT(finding->action, HasSubstr("--wide relu"));
}

TEST_F(DiagnosisTest, TheLargestShareComesFirst) {
  const auto findings = DiagnoseGraph(Plain(Conv(8, 3)));
  ASSERT_GT(findings.size(), 2u);
  double sum = 0;
  for (size_t i = 0; i < findings.size(); ++i) {
    EXPECT_LE(findings[i].share, findings[i == 0 ? 0 : i - 1].share);
    sum += findings[i].share;
  }
  EXPECT_GT(sum, 0.9);
  EXPECT_LE(sum, 1.0001);
  const nlohmann::json json = DiagnosisToJson(findings);
  ASSERT_EQ(json.size(), findings.size());
  EXPECT_EQ(json[0]["tensor"], findings[0].tensor);
  EXPECT_EQ(json[0]["share"], findings[0].share);
  EXPECT_EQ(json[0]["finding"], findings[0].finding);
  EXPECT_EQ(json[0]["figures"], findings[0].figures);
  EXPECT_EQ(json[0]["action"], findings[0].action);
}

}  // namespace
}  // namespace haq::pipeline
