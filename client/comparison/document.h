// A comparison for programs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "client/comparison/outcome.h"

namespace haq::comparison {

// {"scheme", "weights", "preset", "reference", "models": [{"model", ..., "outcomes": [...]}]};
// docs/cli.md lists the fields. What has no figure is null.
nlohmann::ordered_json ToJson(const Comparison& comparison);

// A line for every outcome of every model, the same figures under the names of the first line;
// RFC 4180, empty where there is no figure.
std::string ToCsv(const Comparison& comparison);

}  // namespace haq::comparison
