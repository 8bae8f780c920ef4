#include "server/http/infer_routes.h"

#include <chrono>
#include <string>
#include <utility>

#include "server/http/infer_codec.h"
#include "server/log/fields.h"
#include "server/oip/describe.h"
#include "server/oip/to_json.h"

namespace haq::server::http {
namespace {

using Clock = std::chrono::steady_clock;

Response JsonResponse(const nlohmann::ordered_json& body) {
  Response response;
  response.body = body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  return response;
}

std::string Parameter(const Request& request, const char* name) {
  const auto found = request.parameters.find(name);
  return found == request.parameters.end() ? "" : found->second;
}

// A body that cannot be read has statuses of its own.
Response BodyErrorResponse(const Status& status) {
  if (status.code() == StatusCode::kUnsupported) return ErrorResponse(415, status.message());
  if (status.code() == StatusCode::kResourceExhausted) return ErrorResponse(413, status.message());
  return ErrorResponse(status);
}

void Count(metrics::Metrics& metrics, const std::string& model, StatusCode code, int64_t images,
           Clock::time_point start) {
  metrics.CountInference(model, code, images,
                         std::chrono::duration<double>(Clock::now() - start).count());
}

void LogFailure(const Inference& inference, const Status& status) {
  if (status.ok()) return;
  const bool ours =
      status.code() == StatusCode::kInternal || status.code() == StatusCode::kDataLoss;
  log::Write(ours ? spdlog::level::err : spdlog::level::debug,
             {{"request", inference.id},
              {"model", inference.request.model},
              {"code", std::string(StatusCodeName(status.code()))}},
             status.message());
}

Handler Infer(const InferenceParts& parts) {
  return [parts](Request request, const Respond& respond) {
    const auto start = Clock::now();
    const std::string model = Parameter(request, "model");
    const auto accept = request.headers.find("accept-encoding");
    const std::string accepted = accept == request.headers.end() ? "" : accept->second;
    const auto on_abort = std::move(request.on_abort);
    auto parsed = ParseInference(std::move(request), parts.max_body_bytes);
    if (!parsed.ok()) {
      Count(parts.metrics, model, parsed.status().code(), 0, start);
      return respond(BodyErrorResponse(parsed.status()));
    }
    const std::shared_ptr<Inference> inference = *std::move(parsed);
    // Before the request is under way: afterwards it may be answered and gone at any time.
    const auto ticket = std::make_shared<std::atomic<serving::Engine::Ticket>>(0);
    if (on_abort) {
      on_abort([&engine = parts.engine, ticket, token = inference->request.cancellation] {
        token.Cancel();
        engine.Cancel(*ticket);
      });
    }
    *ticket = parts.engine.Infer(
        inference->request, [inference, respond, accepted, start,
                             &metrics = parts.metrics](const Result<serving::Response>& result) {
          LogFailure(*inference, result.status());
          Count(metrics, inference->request.model, result.status().code(),
                result.ok() ? result->images : 0, start);
          respond(result.ok() ? FormatInference(*result, *inference, accepted)
                              : ErrorResponse(result.status()));
        });
  };
}

Handler ModelMetadata(const InferenceParts& parts) {
  return [parts](const Request& request, const Respond& respond) {
    const auto model =
        parts.repository.Acquire(Parameter(request, "model"), Parameter(request, "version"));
    if (!model.ok()) return respond(ErrorResponse(model.status()));
    respond(JsonResponse(oip::ToJson(oip::ModelMetadata(**model, parts.engine.settings()))));
  };
}

Handler ModelConfig(const InferenceParts& parts) {
  return [parts](const Request& request, const Respond& respond) {
    const auto model =
        parts.repository.Acquire(Parameter(request, "model"), Parameter(request, "version"));
    if (!model.ok()) return respond(ErrorResponse(model.status()));
    respond(JsonResponse(oip::ToJson(oip::ModelConfig(**model, parts.engine.settings()))));
  };
}

Handler Statistics(const InferenceParts& parts) {
  return [parts](const Request& request, const Respond& respond) {
    const auto statistics = oip::ModelStatistics(parts.repository, Parameter(request, "model"),
                                                 Parameter(request, "version"));
    if (!statistics.ok()) return respond(ErrorResponse(statistics.status()));
    respond(JsonResponse(oip::ToJson(*statistics)));
  };
}

// The body of a repository request: empty, or a small object.
Result<nlohmann::json> ReadObject(const std::string& body) {
  if (body.empty()) return nlohmann::json::object();
  HAQ_ASSIGN_OR_RETURN(InferenceJson read, ReadInferenceJson(body));
  return std::move(read.document);
}

Handler Index(const InferenceParts& parts) {
  return [parts](const Request& request, const Respond& respond) {
    const auto body = ReadObject(request.body);
    if (!body.ok()) return respond(ErrorResponse(body.status()));
    const auto ready = body->find("ready");
    if (ready != body->end() && !ready->is_boolean()) {
      return respond(ErrorResponse(InvalidField("ready", "must be true or false")));
    }
    const bool only_ready = ready != body->end() && ready->get<bool>();
    respond(
        JsonResponse(oip::ToJson(oip::RepositoryIndex(parts.repository, only_ready)).at("models")));
  };
}

Status CheckLoadBody(const std::string& body) {
  HAQ_ASSIGN_OR_RETURN(const auto document, ReadObject(body));
  const auto parameters = document.find("parameters");
  if (parameters == document.end()) return {};
  if (!parameters->is_object()) return InvalidField("parameters", "must be an object");
  for (const auto& [name, value] : parameters->items()) {
    if (name == "config" || name.starts_with("file:")) {
      return Unsupported("parameters.{}: the server loads its own served version alone", name);
    }
  }
  return {};
}

Handler Load(const InferenceParts& parts) {
  return [parts](const Request& request, const Respond& respond) {
    if (const Status status = CheckLoadBody(request.body); !status.ok()) {
      return respond(ErrorResponse(status));
    }
    parts.loader.Load(Parameter(request, "model"), [respond](const Status& status) {
      respond(status.ok() ? JsonResponse(nlohmann::ordered_json::object()) : ErrorResponse(status));
    });
  };
}

Handler Unload(const InferenceParts& parts) {
  return [parts](const Request& request, const Respond& respond) {
    const Status status = parts.loader.Unload(Parameter(request, "model"));
    respond(status.ok() ? JsonResponse(nlohmann::ordered_json::object()) : ErrorResponse(status));
  };
}

}  // namespace

void AddInferRoutes(const InferenceParts& parts, Router& router) {
  router.Add(Method::kPost, "/v2/models/{model}/infer", Infer(parts));
  router.Add(Method::kPost, "/v2/models/{model}/versions/{version}/infer", Infer(parts));
}

void AddModelRoutes(const InferenceParts& parts, Router& router) {
  router.Add(Method::kGet, "/v2/models/stats", Statistics(parts));
  const std::string model = "/v2/models/{model}", version = model + "/versions/{version}";
  for (const std::string& path : {model, version}) {
    router.Add(Method::kGet, path, ModelMetadata(parts));
    router.Add(Method::kGet, path + "/config", ModelConfig(parts));
    router.Add(Method::kGet, path + "/stats", Statistics(parts));
  }
  router.Add(Method::kPost, "/v2/repository/index", Index(parts));
  router.Add(Method::kPost, "/v2/repository/models/{model}/load", Load(parts));
  router.Add(Method::kPost, "/v2/repository/models/{model}/unload", Unload(parts));
}

}  // namespace haq::server::http
