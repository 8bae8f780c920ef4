// Whether a new version is good enough to be served.
#pragma once

#include <string>

#include "core/base/status.h"
#include "haq/v1/jobs.pb.h"
#include "server/api/artifact_listener.h"

namespace haq::server::api {

struct Verdict {
  bool passed = true;
  std::string reason;  // of a verdict that did not pass: every limit that was missed, for people
  std::string
      gate_json;  // {"passed", "checks": [{"name", "limit", "value", "passed"}]}; "": no limits
};

// Compares the figures with the limits of the job: max_drop in points of top-1, min_agreement in
// percent, not_slower in milliseconds of an image, whose limit is FP32's. A figure that the report
// does not have misses its limit. Without limits all passes.
Verdict Judge(const haq::v1::CalibrationSpec& spec, const ServedFigures& figures);

// The report with the verdict as its member "gate", where there were limits. `report_json` is JSON;
// one that is no object stays as it is.
std::string WithVerdict(const std::string& report_json, const Verdict& verdict);

// kInvalidArgument names "spec.max_drop" or "spec.min_agreement", and what is allowed.
Status CheckGate(const haq::v1::CalibrationSpec& spec);

}  // namespace haq::server::api
