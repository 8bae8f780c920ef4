#include "client/cli/table_plots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "core/base/file.h"

namespace haq::client {
namespace {

using comparison::Comparison;
using comparison::Outcome;
using comparison::Row;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

json Layer(const std::string& name, double isolated) {
  return {
      {"name", name},
      {"op", "conv2d"},
      {"shape", {8, 8, 3}},
      {"sqnr_db", isolated - 5},
      {"isolated_sqnr_db", isolated},
      {"ranges", {{"minmax", {0, 6}}, {"redistribution", {0, 4}}}},
      {"histogram", {{"low", 0}, {"high", 6}, {"counts", {900, 100, name.size()}}, {"zeros", 50}}}};
}

Outcome Measured(const std::string& name, double top1) {
  Outcome outcome;
  outcome.name = name;
  outcome.title = comparison::MethodTitle(name);
  outcome.top1 = top1;
  outcome.agreement = top1;
  outcome.sqnr_db = 20;
  outcome.classes = {1, 1};
  outcome.signal = {100, 110};
  outcome.noise = {1, 1.2F};
  outcome.report = {{"layers", {Layer("conv1", 40), Layer("worst.add", 20), Layer("fc", 30)}}};
  return outcome;
}

class TablePlotsTest : public testing::Test {
 protected:
  TablePlotsTest() {
    char name[] = "/tmp/haq-plots-XXXXXX";
    folder_ = ::mkdtemp(name);
    table_.reference = "redistribution";
    Row row;
    row.model = "net";
    row.images = row.labelled_images = 2;
    row.labels = {1, 2};
    row.fp32 = Measured("fp32", 0.5);
    row.methods = {Measured("minmax", 0.5), Measured("redistribution", 0.5)};
    table_.rows = {row};
  }
  ~TablePlotsTest() override { std::filesystem::remove_all(folder_); }

  std::string Bytes(const std::string& name, const std::string& tensor = "") {
    const auto folder = folder_ / ("of " + tensor);
    const auto files = WritePlots(table_, folder, tensor);
    EXPECT_TRUE(files.ok()) << files.status().ToString();
    return *ReadTextFile(folder / name);
  }

  std::filesystem::path folder_;
  Comparison table_;
};

TEST_F(TablePlotsTest, WritesEveryPictureAsPng) {
  const auto files = WritePlots(table_, folder_ / "new" / "folder", "");
  ASSERT_TRUE(files.ok()) << files.status().ToString();
  std::vector<std::string> names;
  for (const auto& file : *files) {
    names.push_back(file.filename());
    EXPECT_THAT(*ReadTextFile(file), testing::StartsWith("\x89PNG"));
  }
  EXPECT_THAT(names,
              ElementsAre("accuracy.png", "fidelity.png", "net_tensors.png", "net_histogram.png"));
}

TEST_F(TablePlotsTest, TheTensorIsTheWorstUnlessNamed) {
  const std::string chosen = Bytes("net_histogram.png");
  EXPECT_EQ(Bytes("net_histogram.png", "worst.add"), chosen);
  EXPECT_NE(Bytes("net_histogram.png", "fc"), chosen);
}

TEST_F(TablePlotsTest, AnUnknownTensorIsNamedBesideThoseThatExist) {
  const Status status = WritePlots(table_, folder_, "conv9").status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("--plot-tensor"));
  EXPECT_THAT(status.message(), HasSubstr("\"conv9\""));
  EXPECT_THAT(status.message(), HasSubstr("conv1, worst.add, fc"));
}

TEST_F(TablePlotsTest, AMethodThatFailedLeavesAGap) {
  const std::string before = Bytes("accuracy.png");
  table_.rows[0].methods[0].error = "it broke";
  EXPECT_NE(Bytes("accuracy.png"), before);
}

TEST_F(TablePlotsTest, ReportsWithoutTensorsHaveNoPictureOfThem) {
  for (Outcome& outcome : table_.rows[0].methods) outcome.report = json::object();
  const auto files = WritePlots(table_, folder_, "");
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(files->size(), 2U);
}

TEST_F(TablePlotsTest, ADamagedReportIsAnErrorAndNoCrash) {
  table_.rows[0].methods[1].report["layers"][1]["histogram"]["counts"] = "many";
  EXPECT_EQ(WritePlots(table_, folder_, "worst.add").status().code(), StatusCode::kInternal);
}

TEST_F(TablePlotsTest, AFolderThatCannotBeMadeIsNamed) {
  const Status status = WritePlots(table_, "/dev/null/folder", "").status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("/dev/null/folder"));
}

TEST_F(TablePlotsTest, ManyTensorsAreCutToTheWorst) {
  json layers = json::array();
  for (int i = 0; i < 300; ++i) layers.push_back(Layer("t" + std::to_string(i), 20 + i % 50));
  for (Outcome& outcome : table_.rows[0].methods) outcome.report["layers"] = layers;
  const std::string bytes = Bytes("net_tensors.png");
  const auto big_endian = [&bytes](int at) {
    return (uint32_t{static_cast<uint8_t>(bytes[at])} << 24) |
           (uint32_t{static_cast<uint8_t>(bytes[at + 1])} << 16) |
           (uint32_t{static_cast<uint8_t>(bytes[at + 2])} << 8) |
           static_cast<uint8_t>(bytes[at + 3]);
  };
  EXPECT_LT(big_endian(20), 5000U) << "IHDR's height, in pixels";
  EXPECT_GT(big_endian(20), 4000U);
}

}  // namespace
}  // namespace haq::client
