// What an importer says of the operators that it cannot take.
#pragma once

#include <string>
#include <vector>

namespace haq::import {

// One node: its operator, with the reason if there is more to say than that nobody knows it, and
// where it stands.
struct UnsupportedNode {
  std::string what, place;
};

// "unsupported operators, 3 in all: A at x, y; B (reason) at z". Every operator is named, however
// long the list of places gets; of those at most 200.
std::string ListUnsupported(const std::vector<UnsupportedNode>& nodes);

}  // namespace haq::import
