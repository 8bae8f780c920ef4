// Runs the samples of several requests through one session, and gives each request its answer.
#pragma once

#include <chrono>
#include <span>
#include <vector>

#include "server/serving/preparation.h"
#include "server/serving/request.h"
#include "server/serving/served_model.h"
#include "server/serving/settings.h"

namespace haq::server::serving {

// What became of one request of a batch.
struct BatchEntry {
  const Request* request = nullptr;
  Status status;              // why it has no answer
  Prepared prepared;          // when status is OK
  std::vector<float> output;  // of its samples, in the source network's order
};

struct BatchCost {
  int64_t samples = 0;                            // that ran
  std::chrono::steady_clock::duration input{};    // decoding and preprocessing
  std::chrono::steady_clock::duration compute{};  // in the integer engine
};

// Runs the entries whose status is OK, in pieces of at most model.session_batch() samples, which
// may span requests. An entry whose images cannot be decoded, or that nobody waits for any more,
// gets its own status and does not disturb the others; a failure of the engine is everybody's.
BatchCost RunBatch(const ServedModel& model, const Settings& settings,
                   std::span<BatchEntry> entries);

}  // namespace haq::server::serving
