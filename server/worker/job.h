// One leased job from its blobs to its end.
#pragma once

#include <filesystem>
#include <stop_token>

#include "server/worker/link.h"

namespace haq::server::worker {

struct JobOptions {
  std::filesystem::path scratch;          // parent of the job's folder
  int threads = 0;                        // of the FP32 pass; 0 is every core
  int64_t checkpoint_interval_ms = 1000;  // at most one checkpoint in that time
};

// Works on the job and tells the server how it ended: an artifact, a failure with its reason, or
// cancelled. A requested `stop` hands the job back to the queue; a lease that was lost is dropped
// silently, because somebody else has the job by now. Nothing of it stays on disk.
void RunJob(Link& link, const proto::LeaseJobResponse& leased, const JobOptions& options,
            const std::stop_token& stop);

}  // namespace haq::server::worker
