#include "server/rpc/status.h"

#include <gtest/gtest.h>

#include <map>

#include "core/base/canonical_code.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace haq::server::rpc {
namespace {

TEST(RpcStatus, EveryCodeHasItsCounterpart) {
  const std::map<StatusCode, grpc::StatusCode> expected = {
      {StatusCode::kOk, grpc::StatusCode::OK},
      {StatusCode::kInvalidArgument, grpc::StatusCode::INVALID_ARGUMENT},
      {StatusCode::kNotFound, grpc::StatusCode::NOT_FOUND},
      {StatusCode::kAlreadyExists, grpc::StatusCode::ALREADY_EXISTS},
      {StatusCode::kFailedPrecondition, grpc::StatusCode::FAILED_PRECONDITION},
      {StatusCode::kResourceExhausted, grpc::StatusCode::RESOURCE_EXHAUSTED},
      {StatusCode::kUnsupported, grpc::StatusCode::UNIMPLEMENTED},
      {StatusCode::kCancelled, grpc::StatusCode::CANCELLED},
      {StatusCode::kDeadlineExceeded, grpc::StatusCode::DEADLINE_EXCEEDED},
      {StatusCode::kUnavailable, grpc::StatusCode::UNAVAILABLE},
      {StatusCode::kDataLoss, grpc::StatusCode::DATA_LOSS},
      {StatusCode::kUnauthenticated, grpc::StatusCode::UNAUTHENTICATED},
      {StatusCode::kPermissionDenied, grpc::StatusCode::PERMISSION_DENIED},
      {StatusCode::kInternal, grpc::StatusCode::INTERNAL}};
  ASSERT_EQ(expected.size(), static_cast<size_t>(StatusCode::kInternal) + 1);
  for (const auto& [code, grpc_code] : expected) {
    EXPECT_EQ(ToGrpcCode(code), grpc_code) << StatusCodeName(code);
    EXPECT_EQ(FromCanonicalCode(grpc_code), code) << "clients must see what the server meant";
    if (code == StatusCode::kOk) continue;
    const grpc::Status status = ToGrpc(Status(code, "what was wrong"));
    EXPECT_EQ(status.error_code(), grpc_code);
    EXPECT_EQ(status.error_message(), "what was wrong");
  }
  EXPECT_TRUE(ToGrpc(Status()).ok());
}

TEST(RpcStatus, DetailsNameTheFields) {
  Status failure = InvalidField("model.input_shape", "must have 3 numbers");
  failure.AddField("model_id", "must not be empty");
  const grpc::Status status = ToGrpc(failure);
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), 3);
  EXPECT_EQ(details.message(), "model.input_shape: must have 3 numbers");
  ASSERT_EQ(details.details_size(), 1);
  google::rpc::BadRequest bad_request;
  ASSERT_TRUE(details.details(0).UnpackTo(&bad_request));
  ASSERT_EQ(bad_request.field_violations_size(), 2);
  EXPECT_EQ(bad_request.field_violations(0).field(), "model.input_shape");
  EXPECT_EQ(bad_request.field_violations(0).description(), "must have 3 numbers");
  EXPECT_EQ(bad_request.field_violations(1).field(), "model_id");
}

TEST(RpcStatus, StaysWithinTheHeadersThatClientsAccept) {
  Status failure = InvalidArgument("{}", std::string(100'000, 'x'));
  for (int i = 0; i < 1000; ++i) failure.AddField(std::string(1000, 'f'), std::string(1000, 'd'));
  const grpc::Status status = ToGrpc(failure);
  EXPECT_LT(status.error_message().size() + status.error_details().size(), 6000u);
  EXPECT_EQ(status.error_message().substr(0, 3), "xxx");
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
}

}  // namespace
}  // namespace haq::server::rpc
