#include "client/cli/bench_levels.h"

#include <charconv>
#include <sstream>

namespace haq::client {
namespace {

constexpr size_t kMostLevels = 1'000;

Result<std::vector<double>> Numbers(const std::string& flag, const std::string& text,
                                    char separator) {
  std::vector<double> numbers;
  std::istringstream parts(text + separator);
  for (std::string part; std::getline(parts, part, separator);) {
    double number = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (error != std::errc() || end != part.data() + part.size()) {
      return InvalidField(flag, "\"{}\" is no number; 1,4,16 or FIRST:LAST:STEP", part);
    }
    numbers.push_back(number);
  }
  return numbers;
}

Result<std::vector<double>> Steps(const std::string& flag, const std::string& text) {
  HAQ_ASSIGN_OR_RETURN(const std::vector<double> ends, Numbers(flag, text, ':'));
  const double step = ends.size() == 3 ? ends[2] : 1;
  if (ends.size() > 3 || !(step > 0) || !(ends[0] <= ends[1])) {
    return InvalidField(flag, "\"{}\" must be FIRST:LAST:STEP, rising by a step above 0", text);
  }
  if (!((ends[1] - ends[0]) / step < static_cast<double>(kMostLevels))) {
    return InvalidField(flag, "\"{}\" has more than {} levels", text, kMostLevels);
  }
  std::vector<double> levels;
  const auto count = static_cast<int>((ends[1] - ends[0]) / step + 1e-9) + 1;
  for (int i = 0; i < count; ++i) levels.push_back(ends[0] + step * i);
  return levels;
}

}  // namespace

Result<std::vector<double>> ParseLevels(const std::string& flag, const std::string& text,
                                        double least, double most) {
  HAQ_ASSIGN_OR_RETURN(std::vector<double> levels, text.find(':') == std::string::npos
                                                       ? Numbers(flag, text, ',')
                                                       : Steps(flag, text));
  if (levels.size() > kMostLevels) {
    return InvalidField(flag, "has {} levels; at most {}", levels.size(), kMostLevels);
  }
  for (const double level : levels) {
    if (!(level >= least && level <= most)) {
      return InvalidField(flag, "{} is not from {} to {}", level, least, most);
    }
  }
  return levels;
}

}  // namespace haq::client
