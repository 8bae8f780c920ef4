// Answers inference requests: queue, batches, checks, decoding, integer engine.
#pragma once

#include <string>
#include <vector>

#include "core/base/status.h"
#include "server/metrics/metrics.h"
#include "server/serving/batch_run.h"
#include "server/serving/repository.h"
#include "server/serving/request.h"
#include "server/serving/scheduler.h"
#include "server/serving/settings.h"

namespace haq::server::serving {

// Thread-safe.
class Engine {
 public:
  // Called once for every request, on a thread of the engine or before Infer returns.
  using Done = Call::Done;
  using Ticket = Scheduler::Ticket;

  // Both must outlive the engine.
  Engine(const Settings& settings, const Repository& repository, metrics::Metrics& metrics);

  // Returns at once. `request` must stay until `done` was called. Failures: those of Prepare and
  // FillSamples, Repository::Acquire and Scheduler::Submit, and kCancelled. Requests for one model
  // may run together, up to Settings::dynamic_batch samples; the answers do not depend on it.
  Ticket Infer(const Request& request, Done done);
  // Nobody waits for the answer any more: a request that waits is answered kCancelled on this
  // thread, one that runs stops between two pieces when its own token is cancelled.
  void Cancel(Ticket ticket) { scheduler_.Cancel(ticket); }

  const Settings& settings() const { return settings_; }

  // Requests for `model` wait until Release: so that whoever saw that a new version exists gets its
  // answers, not those of the version before.
  void Hold(const std::string& model) { scheduler_.Hold(model); }
  void Release(const std::string& model) { scheduler_.Release(model); }

  // Takes no more requests and returns when all were answered.
  void Stop() { scheduler_.Stop(); }

 private:
  void RunCalls(const std::string& name, std::vector<Call> calls);
  std::vector<Result<Response>> RunEntries(const ServedModel& model,
                                           const std::vector<Call>& calls);
  void PrepareEntries(const ServedModel& model, std::vector<BatchEntry>& entries) const;
  Result<BatchPolicy::Item> ItemOf(const Request& request) const;

  const Settings settings_;
  const Repository& repository_;
  metrics::Metrics& metrics_;
  Scheduler scheduler_;
};

}  // namespace haq::server::serving
