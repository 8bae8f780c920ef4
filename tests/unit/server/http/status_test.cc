#include "server/http/status.h"

#include <gtest/gtest.h>

#include <map>

namespace haq::server::http {
namespace {

// Every code, up to the last one of the enum, which the size of the table pins.
TEST(HttpStatusTest, EveryCodeHasItsNumber) {
  const std::map<StatusCode, int> table = {
      {StatusCode::kOk, 200},
      {StatusCode::kInvalidArgument, 400},
      {StatusCode::kNotFound, 404},
      {StatusCode::kAlreadyExists, 409},
      {StatusCode::kFailedPrecondition, 409},
      {StatusCode::kResourceExhausted, 429},
      {StatusCode::kUnsupported, 501},
      {StatusCode::kCancelled, 499},
      {StatusCode::kDeadlineExceeded, 504},
      {StatusCode::kUnavailable, 503},
      {StatusCode::kDataLoss, 500},
      {StatusCode::kUnauthenticated, 401},
      {StatusCode::kPermissionDenied, 403},
      {StatusCode::kInternal, 500},
  };
  EXPECT_EQ(table.size(), static_cast<size_t>(StatusCode::kInternal) + 1);
  for (const auto& [code, number] : table) {
    EXPECT_EQ(HttpStatusOf(code), number) << StatusCodeName(code);
  }
}

}  // namespace
}  // namespace haq::server::http
