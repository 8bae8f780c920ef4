#include "server/http/router.h"

#include <nlohmann/json.hpp>

#include "server/http/status.h"

namespace haq::server::http {
namespace {

// "/v2/models" -> {"v2", "models"}; a trailing slash is an empty last segment.
std::vector<std::string> Segments(std::string_view path) {
  std::vector<std::string> segments;
  if (path.empty() || path == "/") return segments;
  for (size_t at = 1;;) {
    const size_t slash = path.find('/', at);
    segments.emplace_back(path.substr(at, slash - at));
    if (slash == std::string_view::npos) return segments;
    at = slash + 1;
  }
}

bool IsParameter(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

std::string_view Name(Method method) {
  switch (method) {
    case Method::kGet:
      return "GET";
    case Method::kPost:
      return "POST";
  }
  return "";
}

bool Fits(const std::vector<std::string>& pattern, const std::vector<std::string>& path,
          std::map<std::string, std::string, std::less<>>& parameters) {
  if (pattern.size() != path.size()) return false;
  parameters.clear();
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (IsParameter(pattern[i])) {
      if (path[i].empty()) return false;
      parameters[pattern[i].substr(1, pattern[i].size() - 2)] = path[i];
    } else if (pattern[i] != path[i]) {
      return false;
    }
  }
  return true;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Response ErrorResponse(int status, std::string_view message) {
  Response response;
  response.status = status;
  // Messages can quote what a client sent, which need not be UTF-8.
  response.body = nlohmann::json{{"error", message}}.dump(-1, ' ', false,
                                                          nlohmann::json::error_handler_t::replace);
  return response;
}

Response ErrorResponse(const Status& status) {
  return ErrorResponse(HttpStatusOf(status.code()), status.message());
}

void Router::Add(Method method, std::string_view pattern, Handler handler) {
  routes_.push_back({method, std::string(pattern), Segments(pattern), std::move(handler)});
}

Router::Match Router::Find(std::string_view method, const std::string& path) const {
  if (method == "HEAD") method = "GET";
  const std::vector<std::string> segments = Segments(path);
  Match match;
  std::string allow;
  for (const Route& route : routes_) {
    if (!Fits(route.segments, segments, match.parameters)) continue;
    match.pattern = route.pattern;
    if (Name(route.method) == method) {
      match.handler = &route.handler;
      return match;
    }
    if (!allow.empty()) allow += ", ";
    allow += route.method == Method::kGet ? "GET, HEAD" : std::string(Name(route.method));
  }
  if (allow.empty()) {
    match.error = ErrorResponse(404, fmt::format("no such path: {}", path));
  } else {
    match.error = ErrorResponse(405, fmt::format("{} {}: allowed is {}", method, path, allow));
    match.error.headers.emplace_back("Allow", allow);
  }
  return match;
}

Result<Target> ParseTarget(std::string_view target) {
  if (target.empty() || target.front() != '/')
    return InvalidArgument("the request's target must be a path that starts with /");
  const size_t question = target.find('?');
  Target parsed;
  if (question != std::string_view::npos) parsed.query = target.substr(question + 1);
  target = target.substr(0, question);
  for (size_t i = 0; i < target.size(); ++i) {
    char c = target[i];
    if (c == '%') {
      const int high = i + 1 < target.size() ? HexDigit(target[i + 1]) : -1;
      const int low = i + 2 < target.size() ? HexDigit(target[i + 2]) : -1;
      if (high < 0 || low < 0)
        return InvalidArgument("the request's path: % must be followed by two hexadecimal digits");
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      return InvalidArgument("the request's path must not have control characters");
    parsed.path += c;
  }
  return parsed;
}

}  // namespace haq::server::http
