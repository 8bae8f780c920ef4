// What the HTTP server answers: the Open Inference Protocol's REST part, and the metrics.
#pragma once

#include <functional>
#include <string>

#include "server/http/infer_routes.h"
#include "server/http/router.h"
#include "server/metrics/metrics.h"

namespace haq::server::http {

// GET /v2, /v2/health/live, /v2/health/ready, /v2/models/{model}[/versions/{version}]/ready, and
// all of infer_routes.h.
Router InferenceRoutes(const InferenceParts& parts);

// GET /metrics answers what `scrape` returns.
Router MetricsRoutes(std::function<std::string()> scrape);

}  // namespace haq::server::http
