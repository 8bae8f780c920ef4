// gRPC status -> haq::Status: the server's words and field violations survive.
#pragma once

#include <grpcpp/support/status.h>

#include "core/base/status.h"

namespace haq::client {

// Every gRPC code has a counterpart; google.rpc.BadRequest in the details becomes fields().
Status FromGrpc(const grpc::Status& status);

}  // namespace haq::client
