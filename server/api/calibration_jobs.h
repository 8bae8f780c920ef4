// Calibration jobs: creating, looking at, cancelling. What happens to them is the queue's business.
#pragma once

#include "haq/v1/jobs.pb.h"
#include "server/api/context.h"

namespace haq::server::api {

// Thread-safe. Errors are as proto/haq/v1/jobs.proto says; nothing is stored after one.
class CalibrationJobs {
 public:
  explicit CalibrationJobs(Context& context) : context_(context) {}

  Result<haq::v1::Job> Create(const haq::v1::CreateJobRequest& request);
  Result<haq::v1::Job> Get(const haq::v1::GetJobRequest& request);
  Result<haq::v1::ListJobsResponse> List(const haq::v1::ListJobsRequest& request);
  Result<haq::v1::Job> Cancel(const haq::v1::CancelJobRequest& request);

  // kInvalidArgument for the name or the number, kNotFound when there is no such job; otherwise its
  // number, and in the request the sequence number to begin with (at least 1).
  Result<int64_t> PrepareWatch(haq::v1::WatchJobRequest& request);

 private:
  Context& context_;
};

}  // namespace haq::server::api
