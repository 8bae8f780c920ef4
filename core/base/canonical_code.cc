#include "core/base/canonical_code.h"

namespace haq {

StatusCode FromCanonicalCode(int code) {
  switch (code) {
    case 0:
      return StatusCode::kOk;
    case 1:
      return StatusCode::kCancelled;
    case 3:   // INVALID_ARGUMENT
    case 11:  // OUT_OF_RANGE
      return StatusCode::kInvalidArgument;
    case 4:
      return StatusCode::kDeadlineExceeded;
    case 5:
      return StatusCode::kNotFound;
    case 6:
      return StatusCode::kAlreadyExists;
    case 7:
      return StatusCode::kPermissionDenied;
    case 9:
      return StatusCode::kFailedPrecondition;
    case 8:
      return StatusCode::kResourceExhausted;
    case 10:  // ABORTED
    case 14:  // UNAVAILABLE
      return StatusCode::kUnavailable;
    case 12:  // UNIMPLEMENTED
      return StatusCode::kUnsupported;
    case 15:
      return StatusCode::kDataLoss;
    case 16:
      return StatusCode::kUnauthenticated;
    default:  // 2 UNKNOWN, 13 INTERNAL
      return StatusCode::kInternal;
  }
}

}  // namespace haq
