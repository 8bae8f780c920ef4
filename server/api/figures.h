// What a job's report says of its version.
#pragma once

#include <string>

#include "server/api/artifact_listener.h"

namespace haq::server::api {

// Of a report that is no such JSON, or has no labels, nothing but the version.
ServedFigures FiguresOf(const std::string& report_json, int64_t version);

}  // namespace haq::server::api
