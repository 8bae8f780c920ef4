// Compressed bodies, both ways.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace haq::server::http {

// `encoding`: "gzip", "x-gzip", "deflate" (zlib's format), "identity" or "", in any case.
// kInvalidArgument for bytes that are not of that encoding or end early, kUnsupported (the caller
// answers 415) for other encodings, kResourceExhausted when it becomes more than `max_bytes`: what
// is allocated never exceeds that.
Result<std::string> Decompress(std::string_view encoding, std::string body, uint64_t max_bytes);

// What an Accept-Encoding header lets the server use: "gzip", "deflate", or "" for neither. gzip
// wins over deflate where both are allowed; q=0 forbids.
std::string_view ChooseEncoding(std::string_view accept_encoding);

// `encoding`: "gzip" or "deflate".
std::string Compress(std::string_view encoding, std::string_view body);

}  // namespace haq::server::http
