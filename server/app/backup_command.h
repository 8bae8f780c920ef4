// `haq-server backup DIR` and `haq-server restore DIR --data-dir NEW`.
#pragma once

#include <optional>

namespace haq::server::app {

// The exit code, when the command line is one of these two; nothing when it is that of a server.
std::optional<int> RunBackupCommand(int argc, const char* const* argv);

}  // namespace haq::server::app
