// Answers inference requests: queue, checks, decoding, integer engine.
#pragma once

#include <chrono>
#include <functional>

#include "core/base/status.h"
#include "server/metrics/metrics.h"
#include "server/serving/repository.h"
#include "server/serving/request.h"
#include "server/serving/scheduler.h"
#include "server/serving/settings.h"

namespace haq::server::serving {

// Thread-safe.
class Engine {
 public:
  // Called once for every request, on a thread of the engine or before Infer returns.
  using Done = std::function<void(Result<Response>)>;

  // Both must outlive the engine.
  Engine(const Settings& settings, const Repository& repository, metrics::Metrics& metrics);

  // Returns at once. `request` must stay until `done` was called. Failures: those of Prepare and
  // FillSamples, Repository::Acquire and Scheduler::Submit, and kCancelled.
  void Infer(const Request& request, Done done);

  const Settings& settings() const { return settings_; }

  // Requests for `model` wait until Release: so that whoever saw that a new version exists gets its
  // answers, not those of the version before.
  void Hold(const std::string& model) { scheduler_.Hold(model); }
  void Release(const std::string& model) { scheduler_.Release(model); }

  // Takes no more requests and returns when all were answered.
  void Stop() { scheduler_.Stop(); }

 private:
  Result<Response> Run(const Request& request, std::chrono::steady_clock::time_point start);

  const Settings settings_;
  const Repository& repository_;
  metrics::Metrics& metrics_;
  Scheduler scheduler_;
};

}  // namespace haq::server::serving
