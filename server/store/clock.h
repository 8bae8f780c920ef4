// Time behind an interface, so that tests of leases and events decide what time it is.
#pragma once

#include <cstdint>

namespace haq::server::store {

class Clock {
 public:
  virtual ~Clock() = default;
  // Microseconds since 1970-01-01 UTC. Thread-safe.
  virtual int64_t NowUs() const = 0;
};

// The system's clock.
Clock& SystemClock();

}  // namespace haq::server::store
