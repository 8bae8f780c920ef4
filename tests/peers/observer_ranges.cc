// observer_ranges FILE IMAGES: reads little-endian float32 values of IMAGES images, and prints the
// range that every method chooses: "name low high", a line each. For the comparisons in this
// folder.
#include <fmt/core.h>

#include <charconv>
#include <cstring>

#include "core/base/file.h"
#include "core/calib/observer.h"

int main(int argc, char** argv) {
  int64_t images = 0;
  if (argc == 3) std::from_chars(argv[2], argv[2] + std::strlen(argv[2]), images);
  if (images < 1) {
    fmt::print(stderr, "usage: observer_ranges FILE IMAGES\n");
    return 2;
  }
  const auto bytes = haq::ReadFile(argv[1]);
  if (!bytes.ok()) {
    fmt::print(stderr, "{}\n", bytes.status().ToString());
    return 1;
  }
  std::vector<float> values(bytes->size() / sizeof(float));
  std::memcpy(values.data(), bytes->data(), values.size() * sizeof(float));
  haq::calib::TensorSummary summary;
  summary.Observe(values, images);
  for (const std::string& method : haq::calib::MethodNames()) {
    const auto range = haq::calib::ChooseRange(method, summary);
    if (!range.ok()) {
      fmt::print(stderr, "{}\n", range.status().ToString());
      return 1;
    }
    fmt::print("{} {:.17g} {:.17g}\n", method, range->low, range->high);
  }
  return 0;
}
