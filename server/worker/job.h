// One leased job from its blobs to its end.
#pragma once

#include <filesystem>
#include <stop_token>

#include "server/worker/link.h"
#include "server/worker/watchdog.h"

namespace haq::server::worker {

// Exit code of a worker that gave up a job which neither moved on nor could be stopped.
inline constexpr int kExitStalled = 70;

struct JobOptions {
  std::filesystem::path scratch;          // parent of the job's folder
  int threads = 0;                        // of the FP32 pass; 0 is every core
  int64_t checkpoint_interval_ms = 1000;  // at most one checkpoint in that time
  // LibTorch cannot be interrupted: a job without progress for so long, or that still runs so long
  // after it was cancelled, is failed, and the process ends with kExitStalled. 0 is no limit.
  WatchdogLimits limits{.stall_ms = 15 * 60 * 1000, .cancel_ms = 60 * 1000};
};

// Works on the job and tells the server how it ended: an artifact, a failure with its reason, or
// cancelled. A requested `stop` hands the job back to the queue; a lease that was lost is dropped
// silently, because somebody else has the job by now. Nothing of it stays on disk.
void RunJob(Link& link, const proto::LeaseJobResponse& leased, const JobOptions& options,
            const std::stop_token& stop);

}  // namespace haq::server::worker
