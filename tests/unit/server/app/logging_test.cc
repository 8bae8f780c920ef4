#include "server/app/logging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

#include "server/log/fields.h"

namespace haq::server::app {
namespace {

using ::testing::MatchesRegex;

std::string Logged(const std::string& level, bool json, const std::string& message) {
  ::testing::internal::CaptureStderr();
  StartLogging(level, json);
  spdlog::info(message);
  spdlog::default_logger()->flush();
  return ::testing::internal::GetCapturedStderr();
}

TEST(LoggingTest, TextLines) {
  EXPECT_THAT(Logged("info", false, "hello"),
              MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3} info hello\n"));
}

TEST(LoggingTest, JsonSurvivesAnyMessage) {
  const std::string line = Logged("info", true, "a \"quoted\"\nline \xff");
  const auto parsed = nlohmann::json::parse(line);
  EXPECT_EQ(parsed.at("message"), "a \"quoted\"\nline \xEF\xBF\xBD");
  EXPECT_EQ(parsed.at("level"), "info");
  EXPECT_THAT(parsed.at("time").get<std::string>(),
              MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}Z"));
  EXPECT_EQ(line.find('\n'), line.size() - 1);
}

std::string LoggedWithFields(const std::string& level, bool json) {
  ::testing::internal::CaptureStderr();
  StartLogging(level, json);
  log::Write(spdlog::level::info, {{"job", "jobs/7"}, {"model", ""}, {"request", "a \"b\""}},
             "done {} %");
  spdlog::info("next");
  spdlog::default_logger()->flush();
  return ::testing::internal::GetCapturedStderr();
}

TEST(LoggingTest, FieldsAreThoseOfTheirLineAlone) {
  EXPECT_THAT(
      LoggedWithFields("info", false),
      MatchesRegex("[^ ]* info done \\{\\} % job=jobs/7 request=a \"b\"\n[^ ]* info next\n"));
  const std::string lines = LoggedWithFields("info", true);
  const size_t end = lines.find('\n');
  const auto first = nlohmann::json::parse(lines.substr(0, end));
  EXPECT_EQ(first.at("message"), "done {} %");
  EXPECT_EQ(first.at("job"), "jobs/7");
  EXPECT_EQ(first.at("request"), "a \"b\"");
  EXPECT_FALSE(first.contains("model")) << "it is empty";
  EXPECT_FALSE(nlohmann::json::parse(lines.substr(end + 1)).contains("job"));
  EXPECT_EQ(LoggedWithFields("warning", true), "");
}

TEST(LoggingTest, LevelsFilter) { EXPECT_EQ(Logged("warning", false, "hello"), ""); }

}  // namespace
}  // namespace haq::server::app
