// Logs go to stderr, one line an event, as text or as JSON.
#pragma once

#include <string>

namespace haq::server::app {

// `level` is one of trace, debug, info, warning, error, off. With `json` a line is an object with
// "time" (RFC 3339, UTC), "level" and "message", and what server/log/fields.h added.
void StartLogging(const std::string& level, bool json);

}  // namespace haq::server::app
