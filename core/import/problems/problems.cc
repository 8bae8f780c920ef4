#include "core/import/problems/problems.h"

#include <fmt/ranges.h>

#include <map>

namespace haq::import {
namespace {

constexpr size_t kMaxListedPlaces = 200;

}  // namespace

std::string ListUnsupported(const std::vector<UnsupportedNode>& nodes) {
  std::map<std::string, std::vector<std::string>> places;
  size_t listed = 0;
  for (const UnsupportedNode& node : nodes) {
    std::vector<std::string>& of_kind = places[node.what];
    if (of_kind.empty() || listed < kMaxListedPlaces) of_kind.push_back(node.place);
    ++listed;
  }
  std::vector<std::string> lines;
  for (const auto& [what, where] : places) {
    lines.push_back(fmt::format("{} at {}", what, fmt::join(where, ", ")));
  }
  std::string message =
      fmt::format("unsupported operators, {} in all: {}", nodes.size(), fmt::join(lines, "; "));
  if (listed > kMaxListedPlaces) message += "; and more of these";
  return message;
}

}  // namespace haq::import
