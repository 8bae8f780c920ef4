#include "core/calib/observer.h"

#include <algorithm>

#include "core/calib/minmax.h"

namespace haq::calib {

std::vector<std::string> MethodNames() { return {std::string(MinMaxObserver::kName)}; }

Status CheckMethod(std::string_view method) {
  const std::vector<std::string> names = MethodNames();
  if (std::find(names.begin(), names.end(), method) != names.end()) return {};
  return InvalidField("method", "unknown method \"{}\"; allowed are {}", method,
                      fmt::join(names, ", "));
}

std::unique_ptr<Observer> MakeObserver(std::string_view) {
  return std::make_unique<MinMaxObserver>();
}

}  // namespace haq::calib
