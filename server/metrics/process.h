// Figures of this process, read when somebody asks.
#pragma once

#include <prometheus/collectable.h>

namespace haq::server::metrics {

// process_resident_memory_bytes, process_start_time_seconds, process_cpu_seconds_total,
// process_open_fds, process_threads; what /proc does not tell is left out.
class ProcessCollector : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override;
};

}  // namespace haq::server::metrics
