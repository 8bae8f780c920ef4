#include "client/comparison/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace haq::comparison {
namespace {

using ::testing::ElementsAre;

bool Keep(std::string_view) { return false; }

TEST(RunProcess, CollectsBothStreamsAndTheExitCode) {
  std::vector<std::string> lines;
  const auto outcome =
      RunProcess({"/bin/sh", "-c", "cat; echo out; echo one >&2; printf two >&2; exit 7"},
                 [&lines](std::string_view line) {
                   lines.emplace_back(line);
                   return line == "one";
                 });
  ASSERT_TRUE(outcome.ok()) << outcome.status().ToString();
  EXPECT_EQ(outcome->exit_code, 7);
  EXPECT_EQ(outcome->output, "out\n") << "stdin is empty";
  EXPECT_THAT(lines, ElementsAre("one", "two"));
  EXPECT_THAT(outcome->last_errors, ElementsAre("two"));
}

TEST(RunProcess, KeepsOnlyTheLastErrors) {
  const auto outcome = RunProcess(
      {"/bin/sh", "-c", "i=0; while [ $i -lt 100 ]; do echo $i >&2; i=$((i+1)); done"}, Keep);
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->last_errors.size(), 20U);
  EXPECT_EQ(outcome->last_errors.back(), "99");
}

TEST(RunProcess, TakesMuchOutput) {
  const auto outcome = RunProcess(
      {"/bin/sh", "-c", "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2"}, Keep);
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->output.size(), 3'000'000U);
}

TEST(RunProcess, ASignalIsAnExitCode) {
  const auto outcome = RunProcess({"/bin/sh", "-c", "kill -9 $$"}, Keep);
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->exit_code, 128 + 9);
}

TEST(RunProcess, AMissingProgramIsNamed) {
  const auto outcome = RunProcess({"/nowhere/program"}, Keep);
  EXPECT_EQ(outcome.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(outcome.status().message(), testing::HasSubstr("/nowhere/program"));
}

TEST(RunProcess, AStopEndsTheProcessAndWhatItStarted) {
  std::stop_source stop;
  std::thread later([&stop] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    stop.request_stop();
  });
  const auto start = std::chrono::steady_clock::now();
  const auto outcome = RunProcess({"/bin/sh", "-c", "sleep 100; echo x"}, Keep, stop.get_token());
  later.join();
  EXPECT_EQ(outcome.status().code(), StatusCode::kCancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(50));
}

}  // namespace
}  // namespace haq::comparison
