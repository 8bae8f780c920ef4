#include "server/app/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "testing.h"

namespace haq::server::app {
namespace {

using ::testing::HasSubstr;

class SettingsTest : public ::testing::Test {
 protected:
  static ParsedSettings Parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "haq-server");
    return ParseSettings(static_cast<int>(arguments.size()), arguments.data());
  }
  // Of a command line that must fail.
  static std::string Failure(const std::vector<const char*>& arguments) {
    ::testing::internal::CaptureStderr();
    ::testing::internal::CaptureStdout();
    const ParsedSettings parsed = Parse(arguments);
    const std::string out = ::testing::internal::GetCapturedStdout();
    EXPECT_FALSE(parsed.settings.has_value());
    EXPECT_EQ(parsed.exit_code, 2);
    return out + ::testing::internal::GetCapturedStderr();
  }
  static std::string Output(const std::vector<const char*>& arguments) {
    ::testing::internal::CaptureStdout();
    const ParsedSettings parsed = Parse(arguments);
    EXPECT_FALSE(parsed.settings.has_value());
    EXPECT_EQ(parsed.exit_code, 0);
    return ::testing::internal::GetCapturedStdout();
  }
};

TEST_F(SettingsTest, Defaults) {
  const auto parsed = Parse({});
  ASSERT_TRUE(parsed.settings.has_value());
  EXPECT_EQ(parsed.settings->data_dir, "haq-data");
  EXPECT_EQ(parsed.settings->listen, "127.0.0.1");
  EXPECT_EQ(parsed.settings->http_port, 8000);
  EXPECT_EQ(parsed.settings->grpc_port, 8001);
  EXPECT_EQ(parsed.settings->metrics_port, 8002);
  EXPECT_EQ(parsed.settings->workers, 1);
  EXPECT_EQ(parsed.settings->serving.max_batch, 64);
  EXPECT_FALSE(parsed.settings->log_json);
}

TEST_F(SettingsTest, CertificatesAreReadToBeChecked) {
  EXPECT_THAT(Failure({"--tls-cert", "/absent.pem", "--tls-key", "/absent.key", "--check-config"}),
              HasSubstr("--tls-cert: cannot open /absent.pem"));
  EXPECT_THAT(Failure({"--tls-key", "/absent.key"}), HasSubstr("--tls-key: needs --tls-cert"));
}

TEST_F(SettingsTest, FlagsWinOverVariables) {
  setenv("HAQ_MAX_BATCH", "7", 1);
  setenv("HAQ_LISTEN", "::1", 1);
  setenv("HAQ_LOG_JSON", "true", 1);
  const auto parsed = Parse({"--listen", "0.0.0.0", "--data-dir", "/x", "--workers", "0"});
  unsetenv("HAQ_MAX_BATCH");
  unsetenv("HAQ_LISTEN");
  unsetenv("HAQ_LOG_JSON");
  ASSERT_TRUE(parsed.settings.has_value());
  EXPECT_EQ(parsed.settings->serving.max_batch, 7);
  EXPECT_EQ(parsed.settings->listen, "0.0.0.0");
  EXPECT_TRUE(parsed.settings->log_json);
  EXPECT_EQ(parsed.settings->data_dir, "/x");
  EXPECT_EQ(parsed.settings->workers, 0);
}

TEST_F(SettingsTest, WrongValuesNameTheFlag) {
  EXPECT_THAT(Failure({"--http-port", "65536"}), HasSubstr("--http-port"));
  EXPECT_THAT(Failure({"--max-batch", "0"}), HasSubstr("--max-batch"));
  EXPECT_THAT(Failure({"--max-batch", "many"}), HasSubstr("--max-batch"));
  EXPECT_THAT(Failure({"--listen", "localhost"}), HasSubstr("'localhost' is not a literal"));
  EXPECT_THAT(Failure({"--log-level", "loud"}), HasSubstr("--log-level"));
  EXPECT_THAT(Failure({"--default-priority", "4"}),
              HasSubstr("--default-priority: is 4; --priority-levels allows 1 to 3"));
  EXPECT_THAT(Failure({"--no-such-flag"}), HasSubstr("--no-such-flag"));
}

class ConfigFileTest : public SettingsTest {
 protected:
  const char* Write(const std::string& text) {
    std::ofstream(path_) << text;
    return path_.c_str();
  }
  test::TempFolder folder_;
  const std::string path_ = folder_.path() / "server.toml";
};

TEST_F(ConfigFileTest, AFlagWinsOverItsVariableAndThatOverTheFile) {
  const char* const file = Write(
      "listen = \"::1\"\nlog-json = true\nmax-queue = 7\n"
      "[serving]\nmax-batch = 8\nthreads = 3\n[jobs]\nworkers = 0\n");
  setenv("HAQ_MAX_BATCH", "9", 1);
  setenv("HAQ_THREADS", "4", 1);
  const auto parsed = Parse({"--config", file, "--threads", "5"});
  unsetenv("HAQ_MAX_BATCH");
  unsetenv("HAQ_THREADS");
  ASSERT_TRUE(parsed.settings.has_value());
  EXPECT_EQ(parsed.settings->listen, "::1");
  EXPECT_TRUE(parsed.settings->log_json);
  EXPECT_EQ(parsed.settings->serving.max_queue, 7u);
  EXPECT_EQ(parsed.settings->workers, 0);
  EXPECT_EQ(parsed.settings->serving.max_batch, 9) << "the variable wins over the file";
  EXPECT_EQ(parsed.settings->serving.threads, 5) << "the flag wins over both";
}

TEST_F(ConfigFileTest, AVariableNamesTheFile) {
  setenv("HAQ_CONFIG", Write("max-batch = 8"), 1);
  const auto parsed = Parse({});
  setenv("HAQ_CONFIG", "/no/such/file.toml", 1);
  EXPECT_THAT(Failure({}), HasSubstr("/no/such/file.toml"));
  unsetenv("HAQ_CONFIG");
  ASSERT_TRUE(parsed.settings.has_value());
  EXPECT_EQ(parsed.settings->serving.max_batch, 8);
  EXPECT_THAT(Failure({"--config", "/no/such/file.toml"}), HasSubstr("/no/such/file.toml"));
}

TEST_F(ConfigFileTest, WhatIsWrongIsNamed) {
  const auto failure = [this](const std::string& text) {
    return Failure({"--config", Write(text)});
  };
  EXPECT_THAT(failure("\nmax-batches = 8"), HasSubstr("line 2: 'max-batches' is no setting"));
  EXPECT_THAT(failure("config = \"x\""), HasSubstr("'config' is no setting"));
  EXPECT_THAT(failure("max-batch = 8\n[serving]\nmax-batch = 9"),
              HasSubstr("line 3: 'max-batch' comes twice"));
  EXPECT_THAT(failure("max-batch = [8]"), HasSubstr("'max-batch' must be a string, a number"));
  EXPECT_THAT(failure("[a.b]\nmax-batch = 8"), HasSubstr("'b' is no setting"));
  EXPECT_THAT(failure("max-batch = "), HasSubstr("--config: line 1"));
  EXPECT_THAT(failure("max-batch = 0"), HasSubstr("--max-batch"));
  EXPECT_THAT(failure("max-batch = \"many\""), HasSubstr("--max-batch"));
  EXPECT_THAT(failure("listen = \"localhost\""), HasSubstr("not a literal"));
}

TEST_F(ConfigFileTest, CheckConfigChecksEverythingAndDoesNothing) {
  EXPECT_THAT(Output({"--check-config", "--config", Write("max-batch = 8")}),
              HasSubstr("the settings are valid"));
  EXPECT_THAT(Failure({"--check-config", "--config", Write("max-batch = 0")}),
              HasSubstr("--max-batch"));
  EXPECT_THAT(Failure({"--check-config", "--priority-levels", "1"}),
              HasSubstr("--default-priority"));
}

TEST_F(SettingsTest, HelpAndVersion) {
  EXPECT_THAT(Output({"--version"}), HasSubstr("0."));
  EXPECT_THAT(Output({"--help"}), HasSubstr("Exit codes:"));
}

// The text between `before` and `after`, or "".
std::string Between(const std::string& text, const std::string& before, const std::string& after) {
  const size_t begin = text.find(before);
  if (begin == std::string::npos) return "";
  const size_t from = begin + before.size();
  const size_t end = text.find(after, from);
  return end == std::string::npos ? "" : text.substr(from, end - from);
}

// Flag -> default, as the page and as --help say.
TEST_F(SettingsTest, ThePageListsEveryFlagWithItsDefault) {
  std::map<std::string, std::string> page, help;
  std::ifstream file(std::string(HAQ_DOCS) + "/settings.md");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("| `--")) continue;
    const std::string flag = Between(line, "| `", "` |");
    std::string value = Between(line, flag + "` |", "|");
    std::erase_if(value, [](char c) { return c == '`' || c == ' '; });
    page[flag] = value == "off" ? "" : value;
  }
  std::istringstream lines(Output({"--help"}));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("  --") || line.find("(Env:") == std::string::npos) continue;
    const std::string flag = Between(line, "  ", " ");
    const std::string described = Between(line, flag, " (Env:");
    const size_t equals = described.rfind('=');
    help[flag] = equals == std::string::npos ? "" : described.substr(equals + 1);
  }
  EXPECT_GE(help.size(), 30u);
  EXPECT_EQ(page, help);
}

TEST(IsBeyondLoopbackTest, KnowsLoopback) {
  for (const char* address : {"127.0.0.1", "127.5.0.1", "::1"}) {
    EXPECT_FALSE(IsBeyondLoopback(address)) << address;
  }
  for (const char* address : {"0.0.0.0", "::", "10.0.0.1", "192.168.1.1", "fe80::1"}) {
    EXPECT_TRUE(IsBeyondLoopback(address)) << address;
  }
}

TEST(HostPortTest, BracketsIPv6) {
  EXPECT_EQ(HostPort("127.0.0.1", 80), "127.0.0.1:80");
  EXPECT_EQ(HostPort("::1", 80), "[::1]:80");
}

}  // namespace
}  // namespace haq::server::app
