#include "client/comparison/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "client/comparison/certainty.h"
#include "tests/unit/client/comparison/reports.h"

namespace haq::comparison {
namespace {

Comparison One() {
  Comparison comparison;
  comparison.server = "127.0.0.1:8001";
  comparison.reference = "redistribution";
  Answers better = TenImages();
  for (float& noise : better.noise) noise /= 2;
  comparison.rows.push_back(RowOf(TenImages(), better));
  Outcome failed;
  failed.name = "kl";
  failed.title = "KL";
  failed.error = "said \"no\", then broke";
  comparison.rows[0].methods.push_back(failed);
  return comparison;
}

TEST(Document, JsonHasEveryFigure) {
  const auto json = ToJson(One());
  EXPECT_EQ(json["reference"], "redistribution");
  const auto& model = json["models"][0];
  EXPECT_EQ(model["images"], 10);
  ASSERT_EQ(model["outcomes"].size(), 4U);
  const auto& fp32 = model["outcomes"][0];
  EXPECT_EQ(fp32["name"], "fp32");
  EXPECT_TRUE(fp32["agreement"].is_null());
  EXPECT_TRUE(fp32["top1_beside_fp32"].is_null());
  const auto& minmax = model["outcomes"][1];
  EXPECT_EQ(minmax["job"], "jobs/1");
  EXPECT_DOUBLE_EQ(minmax["top1"].get<double>(), 5.0 / 9);
  EXPECT_DOUBLE_EQ(minmax["top1_interval"][0].get<double>(), eval::WilsonInterval(5, 9).low);
  EXPECT_EQ(minmax["top1_beside_fp32"]["only_first"], 3);
  EXPECT_NEAR(minmax["reference_sqnr_beside_this"]["difference"].get<double>(), 3.01, 0.01);
  EXPECT_EQ(minmax["reference_top1_beside_this"]["p_value"], 1.0);
  EXPECT_TRUE(model["outcomes"][2]["reference_sqnr_beside_this"].is_null());
  EXPECT_EQ(model["outcomes"][3]["error"], "said \"no\", then broke");
  EXPECT_TRUE(model["outcomes"][3]["top1"].is_null());
}

TEST(Document, CsvHasALineForEveryOutcome) {
  std::istringstream lines(ToCsv(One()));
  std::vector<std::string> all;
  for (std::string line; std::getline(lines, line);) all.push_back(line);
  ASSERT_EQ(all.size(), 5U);
  const auto count = [](const std::string& line) {
    return std::count(line.begin(), line.end(), ',');
  };
  EXPECT_TRUE(all[0].starts_with("model,calibration,evaluation,images,name,title,top1,top1_low"));
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(count(all[i]), count(all[0])) << all[i];
  EXPECT_TRUE(all[2].starts_with("net,cal,test,10,minmax,MinMax,0.5555555555555556,"));
  EXPECT_TRUE(all[4].ends_with(",,\"said \"\"no\"\", then broke\"\r")) << all[4];
}

}  // namespace
}  // namespace haq::comparison
