// The canonical numbers of google.rpc.Code, which gRPC shares, as what a caller of ours sees.
#pragma once

#include "core/base/status.h"

namespace haq {

// Every number has a counterpart; those we never send (ABORTED, UNKNOWN, ...) become the code whose
// remedy is the same, and numbers that do not exist become kInternal.
StatusCode FromCanonicalCode(int code);

}  // namespace haq
