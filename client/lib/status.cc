#include "client/lib/status.h"

#include "core/base/canonical_code.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace haq::client {
Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return {};
  Status result(FromCanonicalCode(status.error_code()), status.error_message());
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return result;
  for (const auto& detail : details.details()) {
    google::rpc::BadRequest bad_request;
    if (!detail.Is<google::rpc::BadRequest>() || !detail.UnpackTo(&bad_request)) continue;
    for (const auto& violation : bad_request.field_violations()) {
      result.AddField(violation.field(), violation.description());
    }
  }
  return result;
}

}  // namespace haq::client
