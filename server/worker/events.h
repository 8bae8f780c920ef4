// What a job has to tell between two reports.
#pragma once

#include <string>
#include <vector>

#include "core/pipeline/pipeline.h"
#include "haq/v1/jobs.pb.h"

namespace haq::server::worker {

// Progress within one phase and accuracies replace what was not sent yet; the last state of a phase
// and every log stay, in order. Holds at most kMaxLogs logs: those beyond are counted in one. Not
// thread-safe.
class EventBuffer {
 public:
  static constexpr size_t kMaxLogs = 200;
  static constexpr size_t kMaxLogBytes = 8 << 10;  // longer messages are cut

  void AddProgress(const pipeline::Progress& progress);
  void AddAccuracy(const pipeline::Accuracy& accuracy);
  void AddLog(const std::string& level, const std::string& message);
  bool empty() const { return events_.empty() && dropped_logs_ == 0; }
  // Everything, and the buffer is empty again.
  std::vector<v1::JobEvent> Take();

 private:
  std::vector<v1::JobEvent> events_;
  size_t logs_ = 0;
  size_t dropped_logs_ = 0;
};

}  // namespace haq::server::worker
