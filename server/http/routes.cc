#include "server/http/routes.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "server/oip/describe.h"
#include "server/oip/to_json.h"

namespace haq::server::http {
namespace {

Response Json(int status, const nlohmann::json& body) {
  Response response;
  response.status = status;
  response.body = body.dump();
  return response;
}

Handler ModelReady(const serving::Repository& repository) {
  return [&repository](const Request& request, const Respond& respond) {
    const std::string& name = request.parameters.at("model");
    const auto version = request.parameters.find("version");
    const auto model =
        repository.Acquire(name, version == request.parameters.end() ? "" : version->second);
    if (!model.ok()) return respond(ErrorResponse(model.status()));
    respond(Json(200, {{"name", name}, {"ready", true}}));
  };
}

}  // namespace

Router InferenceRoutes(const InferenceParts& parts) {
  Router router;
  router.Add(Method::kGet, "/v2", [](const Request&, const Respond& respond) {
    respond(Json(200, oip::ToJson(oip::ServerMetadata())));
  });
  router.Add(Method::kGet, "/v2/health/live", [](const Request&, const Respond& respond) {
    respond(Json(200, {{"live", true}}));
  });
  router.Add(Method::kGet, "/v2/health/ready",
             [ready = parts.ready](const Request&, const Respond& respond) {
               const bool is_ready = ready();
               respond(Json(is_ready ? 200 : 503, {{"ready", is_ready}}));
             });
  router.Add(Method::kGet, "/v2/models/{model}/ready", ModelReady(parts.repository));
  router.Add(Method::kGet, "/v2/models/{model}/versions/{version}/ready",
             ModelReady(parts.repository));
  AddModelRoutes(parts, router);
  AddInferRoutes(parts, router);
  return router;
}

Router MetricsRoutes(std::function<std::string()> scrape) {
  Router router;
  router.Add(Method::kGet, "/metrics",
             [scrape = std::move(scrape)](const Request&, const Respond& respond) {
               Response response;
               response.content_type = metrics::Metrics::kContentType;
               response.body = scrape();
               respond(std::move(response));
             });
  return router;
}

}  // namespace haq::server::http
