// The work behind `haq table`: jobs on the server, and PyTorch beside them.
#pragma once

#include <filesystem>
#include <stop_token>

#include "client/cli/app.h"
#include "client/cli/table_plan.h"
#include "client/comparison/outcome.h"

namespace haq::client {

// Makes the jobs of every cell, or finds those of an earlier run, and watches them to their ends. A
// job that fails is an outcome with an error. kCancelled when `stop` was requested: the jobs go on,
// and the same command finds them again.
Result<comparison::Comparison> RunJobs(App* app, const TableOptions& options, const TablePlan& plan,
                                       const std::stop_token& stop);

// Adds PyTorch to every row, or the reason why not as the row's note. kCancelled as above.
Status RunPytorch(App* app, const TableOptions& options, const TablePlan& plan,
                  const std::stop_token& stop, comparison::Comparison* comparison);

// `--cache`, or haq/ in XDG_CACHE_HOME or ~/.cache; kFailedPrecondition when there is no home.
Result<std::filesystem::path> CacheFolder(const TableOptions& options);

}  // namespace haq::client
