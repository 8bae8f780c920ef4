#include "tests/support/seed.h"

#include <cstdio>
#include <cstdlib>
#include <random>

namespace haq::test {

uint64_t Seed() {
  static const uint64_t seed = [] {
    const char* given = std::getenv("HAQ_TEST_SEED");
    const uint64_t value =
        given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::printf("HAQ_TEST_SEED=%llu\n", static_cast<unsigned long long>(value));
    return value;
  }();
  return seed;
}

}  // namespace haq::test
