// Watching a job on a terminal, in a log, or by a program.
#pragma once

#include <cstdint>
#include <string>

#include "client/cli/app.h"
#include "core/base/progress.h"

namespace haq::client {

// Shows events as they come: a progress bar with the running accuracies beside it, and lines for
// what happened. Not thread-safe.
class WatchView {
 public:
  explicit WatchView(std::FILE* err) : bar_(err) {}
  WatchView(std::FILE* err, bool terminal, int columns) : bar_(err, terminal, columns) {}
  void Show(const v1::JobEvent& event);
  void Finish() { bar_.Finish(); }

 private:
  ProgressBar bar_;
};

// Watches `job` from `from_event` on until it ends, then prints its report and returns the exit
// code that its state means: SUCCEEDED 0, FAILED 1, CANCELLED 7. ^C ends the watching, not the job,
// says how to go on and returns 130. With --json every event is a line {"event": ..}, and the last
// line is {"job": ..}.
Result<int> WatchToEnd(App* app, const std::string& job, int64_t from_event);

// One job, for people.
std::string DescribeJob(const v1::Job& job);

}  // namespace haq::client
