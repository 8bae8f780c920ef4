// Pages of lists.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/status.h"
#include "server/api/limits.h"

namespace haq::server::api {

// How many rows to return; kInvalidArgument for a negative page_size.
Result<int64_t> PageSize(int32_t page_size, const Limits& limits);

// A token is opaque to clients: it names the list that it belongs to and the last row that was
// returned.
std::string MakePageToken(const std::string& list, const std::string& last_key);
// The last key; "" for the empty token. kInvalidArgument for page_token when it was not made for
// this list.
Result<std::string> ReadPageToken(const std::string& list, const std::string& token);

}  // namespace haq::server::api
