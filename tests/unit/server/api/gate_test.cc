#include "server/api/gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace haq::server::api {
namespace {

using nlohmann::json;

haq::v1::CalibrationSpec Limits(std::optional<double> max_drop,
                                std::optional<double> min_agreement = {}) {
  haq::v1::CalibrationSpec spec;
  if (max_drop) spec.set_max_drop(*max_drop);
  if (min_agreement) spec.set_min_agreement(*min_agreement);
  return spec;
}

const ServedFigures kFigures{
    .version = 2, .fp32_top1 = 0.873, .int8_top1 = 0.868, .agreement = 0.97};

TEST(GateTest, WithoutLimitsAllPasses) {
  const Verdict verdict = Judge({}, {.version = 1});
  EXPECT_TRUE(verdict.passed);
  EXPECT_EQ(WithVerdict(R"({"images": 6})", verdict), R"({"images": 6})");
}

TEST(GateTest, LimitsHoldUpToTheirValue) {
  EXPECT_TRUE(Judge(Limits(0.5), kFigures).passed);
  EXPECT_FALSE(Judge(Limits(0.49), kFigures).passed);
  EXPECT_TRUE(Judge(Limits({}, 97), kFigures).passed);
  EXPECT_FALSE(Judge(Limits({}, 97.01), kFigures).passed);
  ServedFigures better = kFigures;
  better.int8_top1 = 0.88;
  EXPECT_TRUE(Judge(Limits(0), better).passed) << "a gain is no drop";
}

TEST(GateTest, Int8MayTakeAsLongAsFp32) {
  haq::v1::CalibrationSpec spec;
  ServedFigures figures = kFigures;
  figures.int8_ms = 2.5;
  figures.fp32_ms = 2.4;
  EXPECT_TRUE(Judge(spec, figures).passed) << "nobody asked";
  spec.set_not_slower(true);
  const Verdict slower = Judge(spec, figures);
  EXPECT_FALSE(slower.passed);
  EXPECT_EQ(slower.reason,
            "INT8 takes 2.500 ms for an image, FP32 2.400 ms, --not-slower wants at most as much");
  const json check = json::parse(slower.gate_json).at("checks").at(0);
  EXPECT_EQ(check,
            (json{{"name", "not-slower"}, {"limit", 2.4}, {"value", 2.5}, {"passed", false}}));
  figures.fp32_ms = 2.5;
  EXPECT_TRUE(Judge(spec, figures).passed);
  figures.fp32_ms.reset();
  EXPECT_EQ(Judge(spec, figures).reason, "--not-slower: the evaluation has no such figure");
  EXPECT_FALSE(Judge(spec, kFigures).passed);
}

TEST(GateTest, TellsEveryLimitThatWasMissed) {
  const Verdict verdict = Judge(Limits(0.1, 99), kFigures);
  EXPECT_EQ(verdict.reason,
            "top-1 drops by 0.50 points, --max-drop allows 0.1; INT8 and FP32 agree on 97.00 % of "
            "the images, --min-agreement wants 99 %");
  const json gate = json::parse(verdict.gate_json);
  EXPECT_EQ(gate.at("passed"), false);
  EXPECT_EQ(gate.at("checks").at(0).at("name"), "max-drop");
  EXPECT_NEAR(gate.at("checks").at(0).at("value").get<double>(), 0.5, 1e-9);
  EXPECT_EQ(gate.at("checks").at(0).at("limit"), 0.1);
  EXPECT_EQ(gate.at("checks").at(1).at("passed"), false);
}

TEST(GateTest, AFigureThatIsMissingMissesItsLimit) {
  const Verdict verdict = Judge(Limits(100, 0), {.version = 1});
  EXPECT_FALSE(verdict.passed);
  EXPECT_EQ(verdict.reason,
            "--max-drop: the evaluation has no such figure; --min-agreement: the "
            "evaluation has no such figure");
}

TEST(GateTest, TheReportHasTheVerdict) {
  const Verdict verdict = Judge(Limits(0.5), kFigures);
  const json report = json::parse(WithVerdict(R"({"images": 6})", verdict));
  EXPECT_EQ(report.at("images"), 6);
  EXPECT_EQ(report.at("gate"), json::parse(verdict.gate_json));
  EXPECT_EQ(WithVerdict("[1]", verdict), "[1]");
}

TEST(GateTest, LimitsArePercent) {
  EXPECT_TRUE(CheckGate(Limits(0, 100)).ok());
  EXPECT_TRUE(CheckGate({}).ok());
  for (const double wrong : {-0.1, 100.1, std::nan("")}) {
    EXPECT_EQ(CheckGate(Limits(wrong)).fields().at(0).field, "spec.max_drop");
    EXPECT_EQ(CheckGate(Limits({}, wrong)).fields().at(0).field, "spec.min_agreement");
  }
}

}  // namespace
}  // namespace haq::server::api
