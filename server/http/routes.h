// What the HTTP server answers: health and metadata as the Open Inference Protocol's REST part
// says, and the metrics.
#pragma once

#include <functional>

#include "server/http/router.h"
#include "server/metrics/metrics.h"
#include "server/serving/repository.h"

namespace haq::server::http {

// GET /v2, /v2/health/live, /v2/health/ready and
// /v2/models/{model}[/versions/{version}]/ready. What they refer to must outlive the server.
Router InferenceRoutes(const serving::Repository& repository, std::function<bool()> ready);

// GET /metrics.
Router MetricsRoutes(const metrics::Metrics& metrics);

}  // namespace haq::server::http
