// Routes of the HTTP server: which handler answers which method and path. No socket and no Asio
// here, so that handlers are plain functions.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"

namespace haq::server::http {

enum class Method { kGet, kPost };

struct Request {
  Method method = Method::kGet;  // HEAD comes as kGet; the server leaves the body out
  std::string path;              // decoded, without the query
  std::string query;             // as sent, without "?"
  std::string content_type;
  std::string body;
  std::map<std::string, std::string, std::less<>> parameters;  // the {names} of the route
  std::map<std::string, std::string, std::less<>> headers;     // names in lower case
  // Registers what is called once when the client closes the connection before the answer; for use
  // before the handler returns. May be empty.
  std::function<void(std::function<void()>)> on_abort;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers = {};
};

// Called once, from any thread, also after the connection is gone.
using Respond = std::function<void(Response)>;
// Runs on a thread of the server: must not block; long work answers later through `respond`.
using Handler = std::function<void(Request request, Respond respond)>;

// {"error": message} with the status that status.h says.
Response ErrorResponse(const Status& status);
Response ErrorResponse(int status, std::string_view message);

class Router {
 public:
  // `pattern` is a path whose segments are literal or "{name}", which takes one segment that is not
  // empty. The first pattern that fits, in the order of adding, wins.
  void Add(Method method, std::string_view pattern, Handler handler);

  struct Match {
    const Handler* handler = nullptr;  // nullptr: `error` is the answer
    std::string pattern = "none";      // of a fixed set: for metrics
    std::map<std::string, std::string, std::less<>> parameters;
    Response error;  // 404, or 405 with Allow
  };
  // `method` as the client sent it; HEAD finds what GET finds.
  Match Find(std::string_view method, const std::string& path) const;

 private:
  struct Route {
    Method method;
    std::string pattern;
    std::vector<std::string> segments;
    Handler handler;
  };
  std::vector<Route> routes_;
};

// Splits the target of a request line into path (percent-decoded) and query. kInvalidArgument for a
// target that is no absolute path, bad escapes and control characters.
struct Target {
  std::string path, query;
};
Result<Target> ParseTarget(std::string_view target);

}  // namespace haq::server::http
