#include "core/base/canonical_code.h"

#include <gtest/gtest.h>

#include <set>

namespace haq {
namespace {

TEST(CanonicalCodeTest, EveryCodeOfOursHasItsNumber) {
  EXPECT_EQ(FromCanonicalCode(0), StatusCode::kOk);
  EXPECT_EQ(FromCanonicalCode(1), StatusCode::kCancelled);
  EXPECT_EQ(FromCanonicalCode(3), StatusCode::kInvalidArgument);
  EXPECT_EQ(FromCanonicalCode(4), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(FromCanonicalCode(5), StatusCode::kNotFound);
  EXPECT_EQ(FromCanonicalCode(6), StatusCode::kAlreadyExists);
  EXPECT_EQ(FromCanonicalCode(7), StatusCode::kPermissionDenied);
  EXPECT_EQ(FromCanonicalCode(8), StatusCode::kResourceExhausted);
  EXPECT_EQ(FromCanonicalCode(9), StatusCode::kFailedPrecondition);
  EXPECT_EQ(FromCanonicalCode(12), StatusCode::kUnsupported);
  EXPECT_EQ(FromCanonicalCode(13), StatusCode::kInternal);
  EXPECT_EQ(FromCanonicalCode(14), StatusCode::kUnavailable);
  EXPECT_EQ(FromCanonicalCode(15), StatusCode::kDataLoss);
  EXPECT_EQ(FromCanonicalCode(16), StatusCode::kUnauthenticated);
}

TEST(CanonicalCodeTest, NothingButZeroIsOk) {
  for (int code = -2; code < 40; ++code) {
    EXPECT_EQ(FromCanonicalCode(code) == StatusCode::kOk, code == 0) << code;
  }
}

}  // namespace
}  // namespace haq
