#include "core/base/exit_code.h"

namespace haq {

int ExitCodeOf(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return kExitOk;
    case StatusCode::kInternal:
      return kExitFailure;
    case StatusCode::kNotFound:
      return 3;
    case StatusCode::kInvalidArgument:
      return 4;
    case StatusCode::kUnavailable:
      return 5;
    case StatusCode::kAlreadyExists:
      return 6;
    case StatusCode::kCancelled:
      return 7;
    case StatusCode::kFailedPrecondition:
      return 8;
    case StatusCode::kResourceExhausted:
      return 9;
    case StatusCode::kUnsupported:
      return 10;
    case StatusCode::kDeadlineExceeded:
      return 11;
    case StatusCode::kDataLoss:
      return 12;
    case StatusCode::kUnauthenticated:
      return 13;
    case StatusCode::kPermissionDenied:
      return 14;
  }
  return kExitFailure;
}

std::string_view ExitCodeHelp() {
  return "Exit codes:\n"
         "  0 done                  1 the job failed, or an internal error\n"
         "  2 wrong command line    3 not found\n"
         "  4 invalid argument      5 server unavailable\n"
         "  6 already exists        7 cancelled\n"
         "  8 failed precondition   9 a limit was met\n"
         "  10 unsupported          11 deadline exceeded\n"
         "  12 damaged data         13 unauthenticated\n"
         "  14 permission denied    130 interrupted (^C)\n";
}

}  // namespace haq
