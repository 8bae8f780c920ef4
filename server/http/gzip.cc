#include "server/http/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>

namespace haq::server::http {
namespace {

constexpr int kZlibWindow = 15;
constexpr int kGzipWindow = 15 + 16;
// Answers are mostly floats, on which higher levels gain little and cost several times the time.
constexpr int kLevel = 1;

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

Bytef* Bytes(const char* data) { return reinterpret_cast<Bytef*>(const_cast<char*>(data)); }

Result<std::string> Inflate(const std::string& body, int window, const std::string& encoding,
                            uint64_t max_bytes) {
  z_stream stream{};
  if (inflateInit2(&stream, window) != Z_OK) return ResourceExhausted("no memory to decompress");
  const std::unique_ptr<z_stream, int (*)(z_streamp)> end(&stream, &inflateEnd);
  stream.next_in = Bytes(body.data());
  stream.avail_in = static_cast<uInt>(body.size());
  std::string out;
  std::array<char, 64 << 10> chunk;
  for (;;) {
    stream.next_out = Bytes(chunk.data());
    stream.avail_out = static_cast<uInt>(chunk.size());
    const int code = inflate(&stream, Z_NO_FLUSH);
    const size_t size = chunk.size() - stream.avail_out;
    if (size > max_bytes - out.size()) {
      return ResourceExhausted("the body has more than {} bytes once it is decompressed",
                               max_bytes);
    }
    out.append(chunk.data(), size);
    if (code == Z_STREAM_END) break;
    if (code != Z_OK || (size == 0 && stream.avail_in == 0)) {
      return InvalidArgument("the body is not valid {}: {}", encoding,
                             code == Z_OK || code == Z_BUF_ERROR ? "it ends early"
                             : stream.msg != nullptr             ? stream.msg
                                                                 : "corrupt");
    }
  }
  if (stream.avail_in > 0) {
    return InvalidArgument("the body has {} bytes after the end of its {}", stream.avail_in,
                           encoding);
  }
  return out;
}

}  // namespace

Result<std::string> Decompress(std::string_view encoding, std::string body, uint64_t max_bytes) {
  const std::string name = Lower(Trim(encoding));
  if (name.empty() || name == "identity") return body;
  if (name == "gzip" || name == "x-gzip") return Inflate(body, kGzipWindow, "gzip", max_bytes);
  if (name == "deflate") return Inflate(body, kZlibWindow, "deflate", max_bytes);
  return Unsupported("Content-Encoding: '{}' is not supported; allowed are gzip, deflate, identity",
                     name);
}

std::string_view ChooseEncoding(std::string_view accept_encoding) {
  bool gzip = false, deflate = false;
  while (!accept_encoding.empty()) {
    const size_t comma = accept_encoding.find(',');
    const std::string item = Lower(Trim(accept_encoding.substr(0, comma)));
    accept_encoding.remove_prefix(comma == std::string_view::npos ? accept_encoding.size()
                                                                  : comma + 1);
    const size_t semicolon = item.find(';');
    const std::string_view name = Trim(std::string_view(item).substr(0, semicolon));
    if (semicolon != std::string::npos) {
      const std::string_view weight = Trim(std::string_view(item).substr(semicolon + 1));
      if (weight.starts_with("q=") && weight.find_first_not_of("0.", 2) == std::string::npos) {
        continue;
      }
    }
    gzip = gzip || name == "gzip" || name == "x-gzip" || name == "*";
    deflate = deflate || name == "deflate";
  }
  return gzip ? "gzip" : deflate ? "deflate" : "";
}

std::string Compress(std::string_view encoding, std::string_view body) {
  z_stream stream{};
  const int window = encoding == "gzip" ? kGzipWindow : kZlibWindow;
  if (deflateInit2(&stream, kLevel, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::bad_alloc();
  }
  const std::unique_ptr<z_stream, int (*)(z_streamp)> end(&stream, &deflateEnd);
  std::string out(deflateBound(&stream, body.size()), '\0');
  stream.next_in = Bytes(body.data());
  stream.avail_in = static_cast<uInt>(body.size());
  stream.next_out = Bytes(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);  // the bound is enough for one call
  out.resize(out.size() - stream.avail_out);
  return out;
}

}  // namespace haq::server::http
