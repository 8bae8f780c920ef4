// The one table from Status to gRPC; docs/errors.md prints it.
#pragma once

#include <grpcpp/support/status.h>

#include "core/base/status.h"

namespace haq::server::rpc {

grpc::StatusCode ToGrpcCode(StatusCode code);

// The message unchanged (cut at 1,500 bytes: a status travels in headers, which clients limit to 8
// KiB together), and in the details a google.rpc.Status with one google.rpc.BadRequest when fields
// are named. OK stays OK.
grpc::Status ToGrpc(const Status& status);

}  // namespace haq::server::rpc
