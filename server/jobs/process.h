// Starting a program.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "server/sandbox/plan.h"

namespace haq::server::jobs {

struct ProcessOptions {
  std::filesystem::path program;
  std::vector<std::string> arguments;
  // "NAME=value"; without a plan in addition to the environment of this process, with one to what
  // sandbox::WorkerEnvironment leaves of it.
  std::vector<std::string> environment;
  std::filesystem::path folder;         // where it starts; empty: where this process is
  const sandbox::Plan* plan = nullptr;  // null: may do what this process may do
};

// Starts the program; its pid. It leads its own process group, dies by SIGKILL when the calling
// thread ends, reads nothing from stdin, and shares stdout and stderr. kNotFound or
// kFailedPrecondition when it cannot be executed, and when the plan requires isolation that the
// machine refuses.
Result<int> StartProcess(const ProcessOptions& options);

}  // namespace haq::server::jobs
