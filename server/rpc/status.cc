#include "server/rpc/status.h"

#include <string>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace haq::server::rpc {
namespace {

constexpr size_t kMaxMessageBytes = 1500;
constexpr size_t kMaxDescriptionBytes = 300;
constexpr size_t kMaxDetailsBytes = 3000;

// At a character's boundary.
std::string Cut(const std::string& text, size_t limit) {
  if (text.size() <= limit) return text;
  size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::string Details(const Status& status, grpc::StatusCode code, const std::string& message) {
  google::rpc::Status details;
  details.set_code(code);
  details.set_message(message);
  google::rpc::BadRequest bad_request;
  for (const FieldViolation& field : status.fields()) {
    google::rpc::BadRequest with_field = bad_request;
    auto& violation = *with_field.add_field_violations();
    violation.set_field(Cut(field.field, kMaxDescriptionBytes));
    violation.set_description(Cut(field.description, kMaxDescriptionBytes));
    if (details.ByteSizeLong() + with_field.ByteSizeLong() > kMaxDetailsBytes) break;
    bad_request = std::move(with_field);
  }
  details.add_details()->PackFrom(bad_request);
  return details.SerializeAsString();
}

}  // namespace

grpc::StatusCode ToGrpcCode(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return grpc::StatusCode::OK;
    case StatusCode::kInvalidArgument:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case StatusCode::kNotFound:
      return grpc::StatusCode::NOT_FOUND;
    case StatusCode::kAlreadyExists:
      return grpc::StatusCode::ALREADY_EXISTS;
    case StatusCode::kFailedPrecondition:
      return grpc::StatusCode::FAILED_PRECONDITION;
    case StatusCode::kResourceExhausted:
      return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case StatusCode::kUnsupported:
      return grpc::StatusCode::UNIMPLEMENTED;
    case StatusCode::kCancelled:
      return grpc::StatusCode::CANCELLED;
    case StatusCode::kDeadlineExceeded:
      return grpc::StatusCode::DEADLINE_EXCEEDED;
    case StatusCode::kUnavailable:
      return grpc::StatusCode::UNAVAILABLE;
    case StatusCode::kDataLoss:
      return grpc::StatusCode::DATA_LOSS;
    case StatusCode::kUnauthenticated:
      return grpc::StatusCode::UNAUTHENTICATED;
    case StatusCode::kPermissionDenied:
      return grpc::StatusCode::PERMISSION_DENIED;
    case StatusCode::kInternal:
      return grpc::StatusCode::INTERNAL;
  }
  return grpc::StatusCode::INTERNAL;
}

grpc::Status ToGrpc(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const grpc::StatusCode code = ToGrpcCode(status.code());
  const std::string message = Cut(status.message(), kMaxMessageBytes);
  if (status.fields().empty()) return {code, message};
  return {code, message, Details(status, code, message)};
}

}  // namespace haq::server::rpc
