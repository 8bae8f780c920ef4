#include "server/serving/statistics.h"

namespace haq::server::serving {

void Statistics::CountFailure(Duration total) {
  const std::lock_guard lock(mutex_);
  now_.failure.Add(total);
}

void Statistics::CountSuccess(const Request& request) {
  const std::lock_guard lock(mutex_);
  now_.last_inference = std::chrono::system_clock::now();
  now_.samples += static_cast<uint64_t>(request.samples);
  now_.success.Add(request.total);
  now_.queue.Add(request.queue);
  now_.input.Add(request.input);
  now_.compute.Add(request.compute);
  now_.output.Add(request.output);
}

void Statistics::CountBatch(int64_t samples, Duration input, Duration compute, Duration output) {
  const std::lock_guard lock(mutex_);
  ++now_.executions;
  Batch& batch = now_.batches[samples];
  batch.input.Add(input);
  batch.compute.Add(compute);
  batch.output.Add(output);
}

Statistics::Snapshot Statistics::Get() const {
  const std::lock_guard lock(mutex_);
  return now_;
}

}  // namespace haq::server::serving
