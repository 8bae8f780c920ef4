// One level of load: so many clients, or so many requests a second, for so long.
#pragma once

#include <cstdint>
#include <map>
#include <stop_token>

#include "client/load/arrivals.h"
#include "client/load/summary.h"
#include "client/load/transport.h"
#include "core/base/status.h"

namespace haq::client::load {

struct Level {
  // Closed loop: so many clients, each of which sends its next request when the last was answered.
  int clients = 0;
  // Open loop, when `clients` is 0: requests start when their time has come, whether or not others
  // were answered, so that a server that falls behind is not spared (coordinated omission).
  double rate = 0;  // requests a second
  Spacing spacing = Spacing::kConstant;
  uint64_t seed = 1;
  // Requests that may be under way; those that would be more are counted as `not_sent`.
  int64_t max_outstanding = 10'000;
};

struct Window {
  double warmup = 1, duration = 5;  // seconds; what the warm-up sends is not counted
};

struct Outcome {
  double seconds = 0;
  // Requests that succeeded within the window, whenever they were due: the throughput. In an open
  // loop that is more than the server can take, more of those that were due succeed after it.
  int64_t ok_in_window = 0;
  std::map<StatusCode, int64_t> codes;  // requests by how they ended
  int64_t not_sent = 0;
  // Of the requests that succeeded, and of those that did not. In an open loop from the time at
  // which a request was due, so that waiting on this side counts.
  Summary succeeded, failed;
  // Open loop: how late requests were sent. Large values say that this side could not keep up.
  Summary lateness;

  int64_t ok() const;
  int64_t total() const;
};

// Sends the `requests` of `transport` in turn until the window is over, then waits for the answers
// that are missing. A closed loop counts what ends in the window, an open one what is due in it.
// kCancelled: `stop` was requested.
Result<Outcome> RunLevel(Transport& transport, int requests, const Level& level,
                         const Window& window, const std::stop_token& stop = {});

}  // namespace haq::client::load
