// `haq-worker serve`: takes one job after another from a server.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "core/base/status.h"
#include "server/worker/job.h"

namespace haq::server::worker {

struct ServeOptions {
  std::string server;  // HOST:PORT or unix:PATH
  std::string name;    // for logs, and for the supervisor that started this worker
  JobOptions job;
  int64_t wait_ms = 10'000;         // how long one question for a job waits at the server
  int64_t server_gone_ms = 30'000;  // gives up when the server was away for so long
  int64_t max_jobs = 0;             // ends after so many; 0 is no limit
};

// Runs until `stop` is requested or max_jobs are done (OK), or the server is gone (kUnavailable).
// Jobs that fail do not end it.
Status Serve(const ServeOptions& options, const std::stop_token& stop);

}  // namespace haq::server::worker
