// What `haq table` was asked for, and how its sheets are printed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cli/sheet_text.h"
#include "client/cli/table_plan.h"
#include "core/quant/methods.h"

namespace haq::client {
namespace {

using ::testing::HasSubstr;

TEST(ParseMethodsTest, MethodsMayHaveAPresetOfTheirOwn) {
  const auto choices = ParseMethods("minmax,redistribution,redistribution/best", "");
  ASSERT_TRUE(choices.ok()) << choices.status().ToString();
  ASSERT_EQ(choices->size(), 3U);
  EXPECT_EQ((*choices)[0].name, "minmax");
  EXPECT_EQ((*choices)[0].preset, "fast");
  EXPECT_EQ((*choices)[2].name, "redistribution/best");
  EXPECT_EQ((*choices)[2].method, "redistribution");
  EXPECT_EQ((*choices)[2].preset, "best");
  EXPECT_EQ((*ParseMethods("kl", "best"))[0].preset, "best");
}

TEST(ParseMethodsTest, AllIsEveryMethodTheReferenceLast) {
  const auto choices = ParseMethods("all", "");
  ASSERT_TRUE(choices.ok());
  EXPECT_EQ(choices->size(), quant::MethodNames().size());
  EXPECT_EQ(choices->back().name, "redistribution");
}

TEST(ParseMethodsTest, WrongOnesAreNamed) {
  const std::pair<const char*, const char*> cases[] = {{"magic", "magic"},
                                                       {"minmax/slow", "slow"},
                                                       {"minmax,minmax", "there twice"},
                                                       {"minmax,", "--methods"},
                                                       {"", "names no method"}};
  for (const auto& [methods, text] : cases) {
    const Status status = ParseMethods(methods, "").status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << methods;
    EXPECT_THAT(status.message(), HasSubstr(text));
    EXPECT_THAT(status.message(), HasSubstr("--methods"));
  }
  EXPECT_THAT(ParseMethods("minmax", "slow").status().message(), HasSubstr("--preset"));
}

TEST(ParseModelsTest, DatasetsAreTheModelsOwnOrEverybodys) {
  TableOptions options;
  options.models = "a,b:c1:e1";
  options.calibration = "c";
  options.evaluation = "e";
  const auto choices = ParseModels(options);
  ASSERT_TRUE(choices.ok()) << choices.status().ToString();
  ASSERT_EQ(choices->size(), 2U);
  EXPECT_EQ((*choices)[0].model, "a");
  EXPECT_EQ((*choices)[0].calibration, "c");
  EXPECT_EQ((*choices)[1].model, "b");
  EXPECT_EQ((*choices)[1].evaluation, "e1");
}

TEST(ParseModelsTest, WrongOnesAreNamed) {
  for (const char* models : {"", "a", "a:b", "a:b:", ":b:c", "a:b:c:d", "a:b:c,"}) {
    TableOptions options;
    options.models = models;
    const Status status = ParseModels(options).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << models;
    EXPECT_THAT(status.message(), HasSubstr("--models")) << models;
  }
}

TEST(RequestIdTest, IsTheSameForTheSameWorkOnly) {
  PlannedModel model;
  model.model.set_name("models/m");
  model.model.set_sha256("aa");
  model.calibration.add_shards()->set_sha256("bb");
  model.evaluation.add_shards()->set_sha256("cc");
  TablePlan plan;
  plan.scheme = "hybrid";
  plan.weights = "per_channel";
  TableOptions options;
  const MethodChoice method{"minmax", "minmax", "fast"};
  const v1::CalibrationSpec spec = SpecOf(options, plan, model, method);
  EXPECT_EQ(spec.method(), "minmax");
  EXPECT_EQ(spec.preset(), "fast");
  const std::string id = RequestIdOf("1", model, spec, 0);
  EXPECT_EQ(id.size(), 32U);
  EXPECT_EQ(RequestIdOf("1", model, spec, 0), id);
  EXPECT_NE(RequestIdOf("2", model, spec, 0), id);
  EXPECT_NE(RequestIdOf("1", model, spec, 1), id);
  options.limit_evaluation = 5;
  EXPECT_NE(RequestIdOf("1", model, SpecOf(options, plan, model, method), 0), id);
  PlannedModel other = model;
  other.evaluation.mutable_shards(0)->set_sha256("dd");
  EXPECT_NE(RequestIdOf("1", other, spec, 0), id);
  other = model;
  other.model.set_sha256("ab");
  EXPECT_NE(RequestIdOf("1", other, spec, 0), id);
}

const std::vector<comparison::Sheet> kSheets = {
    {"Top-1, %", {{"MODEL"}, {"FP32", true}}, {{"a|b", "87.60*"}, {"c", "9.00 "}}, {"* differs"}}};

TEST(SheetTextTest, AlignsColumnsUnderTheTitle) {
  EXPECT_EQ(SheetsText(kSheets),
            "Top-1, %\n"
            "  MODEL    FP32\n"
            "  a|b    87.60*\n"
            "  c       9.00\n"
            "* differs\n");
}

TEST(SheetTextTest, BreaksLongNotes) {
  comparison::Sheet sheet{"T", {{"A"}}, {}, {std::string(60, 'x') + " " + std::string(60, 'y')}};
  EXPECT_THAT(SheetsText({sheet}), HasSubstr(std::string(60, 'x') + "\n" + std::string(60, 'y')));
}

TEST(SheetTextTest, MarkdownIsATableThatNothingBreaks) {
  EXPECT_EQ(SheetsMarkdown(kSheets),
            "### Top-1, %\n"
            "\n"
            "| MODEL | FP32 |\n"
            "| --- | ---: |\n"
            "| a\\|b | 87.60\\* |\n"
            "| c | 9.00 |\n"
            "\n"
            "\\* differs\n");
}

}  // namespace
}  // namespace haq::client
