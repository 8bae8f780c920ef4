#include "server/worker/serve.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <thread>

#include "server/worker/link.h"
#include "server/worker/scratch.h"

namespace haq::server::worker {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPause = std::chrono::milliseconds(200);

}  // namespace

Status Serve(const ServeOptions& options, const std::stop_token& stop) {
  if (const int removed = RemoveAbandonedScratch(options.job.scratch); removed > 0) {
    spdlog::info("removed {} scratch folders of workers that died", removed);
  }
  Link link(options.server);
  spdlog::info("worker {} asks {} for jobs", options.name, options.server);
  auto heard_at = Clock::now();
  int64_t jobs = 0;
  while (!stop.stop_requested() && (options.max_jobs == 0 || jobs < options.max_jobs)) {
    const auto leased = link.LeaseJob(options.name, options.wait_ms, stop);
    if (stop.stop_requested()) break;
    if (leased.ok()) {
      if (leased->has_lease()) {
        RunJob(link, *leased, options.job, stop);
        ++jobs;
      }
      heard_at = Clock::now();
      continue;
    }
    const auto silence = Clock::now() - heard_at;
    if (silence >= std::chrono::milliseconds(options.server_gone_ms)) {
      return leased.status().WithContext("server " + options.server + " is gone");
    }
    std::this_thread::sleep_for(kPause);
  }
  spdlog::info("worker {} stops", options.name);
  return {};
}

}  // namespace haq::server::worker
