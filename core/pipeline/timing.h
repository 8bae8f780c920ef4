// Times of things that are to be compared: on a machine with others on it, two figures that were
// taken one after the other compare their neighbours. Private to core/pipeline.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "core/base/status.h"

namespace haq::pipeline {

struct Times {
  std::vector<double> median_ms;  // in the order of the things
  int rounds = 0;
};

// Processor time of the calling thread for each of `things`: medians over rounds in which they run
// in turn. 3 to 101 rounds, fewer than that once they took a second together; `warm_up` rounds
// before them do not count. A failure ends it.
Result<Times> TimeInTurn(std::span<const std::function<Status()>> things, int warm_up = 0);

}  // namespace haq::pipeline
