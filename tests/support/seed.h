// The seed of random tests: printed when a test fails, taken from HAQ_TEST_SEED when that is set.
#pragma once

#include <cstdint>

namespace haq::test {

// The same for the whole process.
uint64_t Seed();

}  // namespace haq::test
