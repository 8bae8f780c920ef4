// A job's options as the pipeline's.
#pragma once

#include "core/pipeline/pipeline.h"
#include "haq/v1/jobs.pb.h"

namespace haq::server::worker {

// Everything that the specification says; what it leaves out is the pipeline's default.
pipeline::Options OptionsOf(const haq::v1::CalibrationSpec& spec);

}  // namespace haq::server::worker
