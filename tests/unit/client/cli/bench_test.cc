#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "client/cli/bench_inputs.h"
#include "client/cli/bench_levels.h"
#include "client/cli/bench_output.h"

namespace haq::client {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(BenchLevelsTest, ListsAndSteps) {
  EXPECT_THAT(*ParseLevels("--clients", "8", 1, 100), ElementsAre(8));
  EXPECT_THAT(*ParseLevels("--clients", "1,4,16", 1, 100), ElementsAre(1, 4, 16));
  EXPECT_THAT(*ParseLevels("--clients", "2:4", 1, 100), ElementsAre(2, 3, 4));
  EXPECT_THAT(*ParseLevels("--request-rate", "0.1:0.5:0.2", 0.001, 100),
              ElementsAre(::testing::DoubleEq(0.1), ::testing::DoubleEq(0.1 + 0.2),
                          ::testing::DoubleEq(0.1 + 0.4)));
}

TEST(BenchLevelsTest, WrongOnesNameTheFlag) {
  for (const char* text : {"", "a", "1,", "1,b", "5:1", "1:5:0", "1:5:-1", "1:2:3:4", "0", "101",
                           "nan", "inf", "1:nan", "1e-9:90:1e-9", "1:", ":1", "1 2"}) {
    const auto levels = ParseLevels("--clients", text, 1, 100);
    ASSERT_FALSE(levels.ok()) << text;
    EXPECT_EQ(levels.status().code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(levels.status().message(), HasSubstr("--clients")) << text;
  }
}

inference::ModelMetadataResponse Metadata() {
  inference::ModelMetadataResponse metadata;
  auto* input = metadata.add_inputs();
  input->set_name("input");
  for (const int64_t dimension : {-1, 3, 8, 4}) input->add_shape(dimension);
  return metadata;
}

TEST(BenchInputsTest, DrawnValuesFillTheShapeAndDiffer) {
  const auto floats =
      MakeBenchRequests(Metadata(), {.model = "net", .version = "2", .batch = 5, .distinct = 3});
  ASSERT_TRUE(floats.ok()) << floats.status().ToString();
  ASSERT_EQ(floats->size(), 3u);
  EXPECT_EQ((*floats)[0].model_name(), "net");
  EXPECT_EQ((*floats)[0].model_version(), "2");
  const auto& input = (*floats)[0].inputs(0);
  EXPECT_EQ(input.datatype(), "FP32");
  EXPECT_THAT(input.shape(), ElementsAre(5, 3, 8, 4));
  EXPECT_EQ((*floats)[0].raw_input_contents(0).size(), 5u * 3 * 8 * 4 * 4);
  EXPECT_NE((*floats)[0].raw_input_contents(0), (*floats)[1].raw_input_contents(0));
  float value = 0;
  std::memcpy(&value, (*floats)[2].raw_input_contents(0).data() + 40, sizeof(value));
  EXPECT_LT(std::abs(value), 10);

  const auto levels =
      MakeBenchRequests(Metadata(), {.model = "net", .version = "", .datatype = "INT8"});
  EXPECT_EQ((*levels)[0].raw_input_contents(0).size(), 3u * 8 * 4);
  EXPECT_EQ((*levels)[0].inputs(0).datatype(), "INT8");
}

TEST(BenchInputsTest, EveryFileIsSent) {
  std::vector<std::string> files;
  for (const char* content : {"one", "second", "x"}) {
    files.push_back(testing::TempDir() + "bench_" + content);
    std::ofstream(files.back()) << content;
  }
  const auto requests = MakeBenchRequests(
      Metadata(), {.model = "net", .version = "", .files = files, .batch = 2, .distinct = 1});
  ASSERT_TRUE(requests.ok());
  ASSERT_EQ(requests->size(), 2u);
  EXPECT_EQ((*requests)[0].inputs(0).datatype(), "BYTES");
  EXPECT_THAT((*requests)[0].inputs(0).shape(), ElementsAre(2));
  EXPECT_EQ((*requests)[0].raw_input_contents(0), std::string("\3\0\0\0one\6\0\0\0second", 17));
  EXPECT_EQ((*requests)[1].raw_input_contents(0), std::string("\1\0\0\0x\3\0\0\0one", 12));
  EXPECT_EQ(MakeBenchRequests(Metadata(), {.model = "net", .version = "", .files = {"/nowhere"}})
                .status()
                .code(),
            StatusCode::kNotFound);
}

TEST(BenchInputsTest, RequestsThatNoServerTakes) {
  EXPECT_EQ(MakeBenchRequests(
                Metadata(), {.model = "net", .version = "", .batch = 100'000, .distinct = 100'000})
                .status()
                .code(),
            StatusCode::kInvalidArgument);
  auto metadata = Metadata();
  metadata.mutable_inputs(0)->set_shape(2, -1);
  EXPECT_EQ(MakeBenchRequests(metadata, {.model = "net", .version = ""}).status().code(),
            StatusCode::kUnsupported);
  metadata.add_inputs();
  EXPECT_EQ(MakeBenchRequests(metadata, {.model = "net", .version = ""}).status().code(),
            StatusCode::kUnsupported);
}

BenchRun ExampleRun() {
  BenchLevel closed{
      .level = {.clients = 16}, .outcome = {}, .server = ServerTimes{0.001, 0.002, 0.003, 0}};
  closed.outcome.seconds = 2;
  closed.outcome.ok_in_window = 500;
  closed.outcome.codes = {{StatusCode::kOk, 500}, {StatusCode::kResourceExhausted, 3}};
  closed.outcome.succeeded = {.count = 500, .mean = 0.010, .p50 = 0.009, .p99 = 0.02};
  return {.model = "net",
          .version = "2",
          .protocol = "grpc",
          .datatype = "FP32",
          .shape = {8, 3, 32, 32},
          .connections = 16,
          .levels = {closed}};
}

TEST(BenchOutputTest, TextSaysThroughputAndWhereTheTimeGoes) {
  const std::string text = ToText(ExampleRun());
  EXPECT_THAT(text, AllOf(HasSubstr("CLIENTS"), HasSubstr("250.0"), HasSubstr("2000.0"),
                          HasSubstr("RESOURCE_EXHAUSTED 3")));
  EXPECT_THAT(text, ::testing::ContainsRegex("1.000 +5.000 +4.000 "));  // queue, compute, other
}

TEST(BenchOutputTest, AServerWithoutStatistics) {
  BenchRun run = ExampleRun();
  run.levels[0].server.reset();
  EXPECT_THAT(ToText(run), ::testing::ContainsRegex(" - +- +- "));
  EXPECT_TRUE(ToJson(run)["levels"][0]["server_ms"].is_null());
}

TEST(BenchOutputTest, CsvHasAColumnForEachTitle) {
  std::istringstream lines(ToCsv(ExampleRun()));
  std::string titles, values;
  std::getline(lines, titles);
  std::getline(lines, values);
  EXPECT_EQ(std::count(titles.begin(), titles.end(), ','),
            std::count(values.begin(), values.end(), ','));
  EXPECT_THAT(values, HasSubstr("16,,250.00,2000.00,500,3,0,10.000"));
}

TEST(BenchOutputTest, ALateGeneratorIsSaid) {
  BenchRun run = ExampleRun();
  run.levels[0].level = {.rate = 1000};
  run.levels[0].outcome.lateness.p99 = 0.0001;
  EXPECT_EQ(ToText(run).find("late"), std::string::npos);
  run.levels[0].outcome.lateness.p99 = 0.005;
  EXPECT_THAT(ToText(run), AllOf(HasSubstr("RATE"), HasSubstr("5.000 ms late")));
}

}  // namespace
}  // namespace haq::client
