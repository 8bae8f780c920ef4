// Starting a program.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace haq::server::jobs {

// Starts `program` with `arguments` and the environment of this process plus `environment`
// ("NAME=value"); its pid. It leads its own process group, dies by SIGKILL when the calling thread
// ends, reads nothing from stdin, and shares stdout and stderr. kNotFound or kFailedPrecondition
// when it cannot be executed.
Result<int> StartProcess(const std::filesystem::path& program,
                         const std::vector<std::string>& arguments,
                         const std::vector<std::string>& environment);

}  // namespace haq::server::jobs
