// What `--json` prints.
#pragma once

#include <google/protobuf/message.h>

#include <nlohmann/json.hpp>

#include "core/base/status.h"

namespace haq::client {

// Field names as in the .proto files, every field present (a message or an `optional` field that is
// unset is null, a oneof only shows the member that is set), 64-bit numbers as numbers, timestamps
// as RFC 3339 text, enums by name, and `*_json` fields, when they hold JSON, as the document itself
// under the name without `_json`.
nlohmann::ordered_json ToJson(const google::protobuf::Message& message);

// {"error": {"code": "NOT_FOUND", "message": "...", "fields": [{"field", "description"}]}}
nlohmann::ordered_json ToJson(const Status& status);

}  // namespace haq::client
