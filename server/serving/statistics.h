// What Triton's statistics extension tells of a version of a model.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>

namespace haq::server::serving {

class Statistics {
 public:
  using Duration = std::chrono::steady_clock::duration;

  struct Times {
    uint64_t count = 0;
    Duration sum{};
    void Add(Duration duration, uint64_t times = 1) {
      count += times;
      sum += duration;
    }
  };
  struct Batch {
    Times input, compute, output;  // decoding and preprocessing; the engine; making the answers
  };
  struct Snapshot {
    std::chrono::system_clock::time_point last_inference{};
    uint64_t samples = 0;     // of answered requests
    uint64_t executions = 0;  // batches
    // Of requests: from arrival to answer, failures apart; then the parts of the answered ones,
    // each of which is charged the whole of its batch, as Triton does.
    Times success, failure, queue, input, compute, output;
    std::map<int64_t, Batch> batches;  // by the samples that ran together
  };

  // All thread-safe.
  void CountFailure(Duration total);
  struct Request {
    int64_t samples = 0;
    Duration total{}, queue{}, input{}, compute{}, output{};
  };
  void CountSuccess(const Request& request);
  void CountBatch(int64_t samples, Duration input, Duration compute, Duration output);
  Snapshot Get() const;

 private:
  mutable std::mutex mutex_;
  Snapshot now_;  // guarded by mutex_
};

}  // namespace haq::server::serving
