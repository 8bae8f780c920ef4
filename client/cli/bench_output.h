// What `haq bench-serve` prints.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "client/load/run.h"

namespace haq::client {

// Mean seconds of a request inside of the server (ModelStatistics).
struct ServerTimes {
  double queue = 0, input = 0, infer = 0, output = 0;
  double total() const { return queue + input + infer + output; }
};

struct BenchLevel {
  load::Level level;
  load::Outcome outcome;
  std::optional<ServerTimes> server;  // a server without statistics has none

  double RequestsPerSecond() const;  // that succeeded in the window
};

struct BenchRun {
  std::string model, version, protocol, datatype;
  std::vector<int64_t> shape;  // of a request's input
  int64_t connections = 0;
  std::vector<BenchLevel> levels;

  int64_t batch() const { return shape.empty() ? 1 : shape.front(); }
};

nlohmann::ordered_json ToJson(const BenchRun& run);
// A header and a line for each level; times in milliseconds.
std::string ToCsv(const BenchRun& run);
std::string ToText(const BenchRun& run);

}  // namespace haq::client
