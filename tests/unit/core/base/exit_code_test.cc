#include "core/base/exit_code.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace haq {
namespace {

constexpr StatusCode kEveryCode[] = {StatusCode::kOk,
                                     StatusCode::kInvalidArgument,
                                     StatusCode::kNotFound,
                                     StatusCode::kAlreadyExists,
                                     StatusCode::kFailedPrecondition,
                                     StatusCode::kResourceExhausted,
                                     StatusCode::kUnsupported,
                                     StatusCode::kCancelled,
                                     StatusCode::kDeadlineExceeded,
                                     StatusCode::kUnavailable,
                                     StatusCode::kDataLoss,
                                     StatusCode::kUnauthenticated,
                                     StatusCode::kPermissionDenied,
                                     StatusCode::kInternal};

TEST(ExitCodeTest, TheDocumentedTable) {
  EXPECT_EQ(ExitCodeOf(StatusCode::kOk), 0);
  EXPECT_EQ(ExitCodeOf(StatusCode::kInternal), 1);
  EXPECT_EQ(ExitCodeOf(StatusCode::kNotFound), 3);
  EXPECT_EQ(ExitCodeOf(StatusCode::kInvalidArgument), 4);
  EXPECT_EQ(ExitCodeOf(StatusCode::kUnavailable), 5);
  EXPECT_EQ(ExitCodeOf(StatusCode::kAlreadyExists), 6);
  EXPECT_EQ(ExitCodeOf(StatusCode::kCancelled), 7);
  EXPECT_EQ(ExitCodeOf(StatusCode::kFailedPrecondition), 8);
  EXPECT_EQ(ExitCodeOf(StatusCode::kResourceExhausted), 9);
  EXPECT_EQ(ExitCodeOf(StatusCode::kUnsupported), 10);
  EXPECT_EQ(ExitCodeOf(StatusCode::kDeadlineExceeded), 11);
  EXPECT_EQ(ExitCodeOf(StatusCode::kDataLoss), 12);
  EXPECT_EQ(ExitCodeOf(StatusCode::kUnauthenticated), 13);
  EXPECT_EQ(ExitCodeOf(StatusCode::kPermissionDenied), 14);
}

TEST(ExitCodeTest, NoTwoCodesShareANumberAndNoneIsUsage) {
  std::set<int> seen{kExitUsage};
  for (const StatusCode code : kEveryCode) {
    EXPECT_TRUE(seen.insert(ExitCodeOf(code)).second) << StatusCodeName(code);
  }
}

TEST(ExitCodeTest, HelpNamesEveryNumber) {
  for (const StatusCode code : kEveryCode) {
    EXPECT_THAT(std::string(ExitCodeHelp()),
                testing::HasSubstr(std::to_string(ExitCodeOf(code)) + " "));
  }
}

}  // namespace
}  // namespace haq
