// The Open Inference Protocol over HTTP, with Triton's extensions: inference, binary tensors, model
// configuration, statistics and model repository.
#pragma once

#include <cstdint>
#include <functional>

#include "server/http/router.h"
#include "server/metrics/metrics.h"
#include "server/serving/engine.h"
#include "server/serving/loader.h"
#include "server/serving/repository.h"

namespace haq::server::http {

// What all of it needs; it outlives the server.
struct InferenceParts {
  serving::Engine& engine;
  const serving::Repository& repository;
  serving::Loader& loader;
  metrics::Metrics& metrics;
  std::function<bool()> ready;
  uint64_t max_body_bytes;  // after decompression
};

// POST /v2/models/{model}[/versions/{version}]/infer.
void AddInferRoutes(const InferenceParts& parts, Router& router);

// GET .../config, .../stats, POST /v2/repository/...
void AddModelRoutes(const InferenceParts& parts, Router& router);

}  // namespace haq::server::http
