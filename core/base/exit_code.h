// Exit codes of the command lines: one table for `haq` and `haq-worker`, printed in their help and
// in docs/cli.md.
#pragma once

#include <string_view>

#include "core/base/status.h"

namespace haq {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;        // INTERNAL, and a job that failed
inline constexpr int kExitUsage = 2;          // the command line itself was wrong
inline constexpr int kExitInterrupted = 130;  // ^C, as shells report it

int ExitCodeOf(StatusCode code);

// The table as help text, one code a line.
std::string_view ExitCodeHelp();

}  // namespace haq
