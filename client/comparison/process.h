// Another program, run to its end.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace haq::comparison {

struct ProcessOutcome {
  int exit_code = 0;                     // 128 + n when signal n ended it
  std::string output;                    // its stdout
  std::vector<std::string> last_errors;  // the last lines of its stderr that `on_error_line` left
};

inline constexpr int64_t kMaxProcessOutputBytes = 256 << 20;

// Runs `arguments[0]` (found in PATH when it has no '/') with stdin empty. `on_error_line` gets
// every line of its stderr on the calling thread and returns whether that was all there is to do
// with it. kNotFound when there is no such program; kCancelled, after ending it, when `stop` was
// requested; kResourceExhausted, after ending it, beyond kMaxProcessOutputBytes.
Result<ProcessOutcome> RunProcess(const std::vector<std::string>& arguments,
                                  const std::function<bool(std::string_view)>& on_error_line,
                                  const std::stop_token& stop = {});

}  // namespace haq::comparison
