#include "client/lib/names.h"

#include <fmt/format.h>

#include <random>

namespace haq::client {

std::string FullName(std::string_view collection, std::string_view name) {
  const std::string prefix = std::string(collection) + "/";
  return name.starts_with(prefix) ? std::string(name) : prefix + std::string(name);
}

std::string ShortName(std::string_view name) {
  const size_t slash = name.rfind('/');
  return std::string(slash == std::string_view::npos ? name : name.substr(slash + 1));
}

std::string NewRequestId() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

}  // namespace haq::client
