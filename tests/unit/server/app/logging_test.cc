#include "server/app/logging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

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

TEST(LoggingTest, LevelsFilter) { EXPECT_EQ(Logged("warning", false, "hello"), ""); }

}  // namespace
}  // namespace haq::server::app
