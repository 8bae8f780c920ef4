// Lists of numbers on the command line.
#pragma once

#include <string>
#include <vector>

#include "core/base/status.h"

namespace haq::client {

// "1,4,16", "8" or "FIRST:LAST:STEP" (both ends included; without STEP it is 1), each from `least`
// to `most`, at most 1,000 of them. kInvalidArgument names `flag`.
Result<std::vector<double>> ParseLevels(const std::string& flag, const std::string& text,
                                        double least, double most);

}  // namespace haq::client
