#include "client/cli/bench_output.h"

#include <fmt/format.h>

#include "client/cli/table.h"

namespace haq::client {
namespace {

constexpr double kMs = 1e3;

std::string Ms(double seconds) { return fmt::format("{:.3f}", seconds * kMs); }

nlohmann::ordered_json LatencyJson(const load::Summary& summary) {
  return {{"mean", summary.mean * kMs}, {"min", summary.min * kMs}, {"p50", summary.p50 * kMs},
          {"p90", summary.p90 * kMs},   {"p95", summary.p95 * kMs}, {"p99", summary.p99 * kMs},
          {"p999", summary.p999 * kMs}, {"max", summary.max * kMs}};
}

nlohmann::ordered_json LevelJson(const BenchLevel& level, int64_t batch) {
  const load::Outcome& outcome = level.outcome;
  nlohmann::ordered_json json;
  if (level.level.clients > 0) {
    json["clients"] = level.level.clients;
  } else {
    json["request_rate"] = level.level.rate;
  }
  json["seconds"] = outcome.seconds;
  json["requests_per_second"] = level.RequestsPerSecond();
  json["images_per_second"] = level.RequestsPerSecond() * static_cast<double>(batch);
  json["codes"] = nlohmann::ordered_json::object();
  for (const auto& [code, count] : outcome.codes) json["codes"][StatusCodeName(code)] = count;
  json["not_sent"] = outcome.not_sent;
  json["latency_ms"] = LatencyJson(outcome.succeeded);
  json["failed_latency_ms"] = LatencyJson(outcome.failed);
  if (level.level.clients == 0) json["lateness_ms"] = LatencyJson(outcome.lateness);
  json["server_ms"] = nullptr;
  if (level.server) {
    json["server_ms"] = {{"queue", level.server->queue * kMs},
                         {"compute_input", level.server->input * kMs},
                         {"compute_infer", level.server->infer * kMs},
                         {"compute_output", level.server->output * kMs}};
  }
  return json;
}

std::string Load(const load::Level& level) {
  return level.clients > 0 ? std::to_string(level.clients) : fmt::format("{:g}", level.rate);
}

// "RESOURCE_EXHAUSTED 1234, UNAVAILABLE 2".
std::string Failures(const load::Outcome& outcome) {
  std::string text;
  for (const auto& [code, count] : outcome.codes) {
    if (code == StatusCode::kOk) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", StatusCodeName(code), count);
  }
  if (outcome.not_sent > 0) {
    text += fmt::format("{}not sent {}", text.empty() ? "" : ", ", outcome.not_sent);
  }
  return text.empty() ? "-" : text;
}

// A generator that cannot keep up measures itself.
std::string LatenessNote(const BenchRun& run) {
  for (const BenchLevel& level : run.levels) {
    const double late = level.outcome.lateness.p99;
    if (level.level.clients == 0 && late > 0.1 * level.outcome.succeeded.p50 && late > 1e-3) {
      return fmt::format(
          "{:g} requests a second: one in a hundred was sent more than {} ms late; this machine "
          "may be what is measured\n",
          level.level.rate, Ms(late));
    }
  }
  return "";
}

}  // namespace

double BenchLevel::RequestsPerSecond() const {
  return outcome.seconds > 0 ? static_cast<double>(outcome.ok_in_window) / outcome.seconds : 0;
}

nlohmann::ordered_json ToJson(const BenchRun& run) {
  auto levels = nlohmann::ordered_json::array();
  for (const BenchLevel& level : run.levels) levels.push_back(LevelJson(level, run.batch()));
  return {{"model", run.model},         {"version", run.version},
          {"protocol", run.protocol},   {"connections", run.connections},
          {"datatype", run.datatype},   {"shape", run.shape},
          {"levels", std::move(levels)}};
}

std::string ToCsv(const BenchRun& run) {
  std::string text =
      "clients,request_rate,requests_per_second,images_per_second,succeeded,failed,not_sent,"
      "mean_ms,min_ms,p50_ms,p90_ms,p95_ms,p99_ms,p999_ms,max_ms,server_queue_ms,"
      "server_compute_input_ms,server_compute_infer_ms,server_compute_output_ms\n";
  for (const BenchLevel& level : run.levels) {
    const load::Outcome& outcome = level.outcome;
    const load::Summary& ok = outcome.succeeded;
    const bool closed = level.level.clients > 0;
    text += fmt::format("{},{},{:.2f},{:.2f},{},{},{},{},{},{},{},{},{},{},{},",
                        closed ? Load(level.level) : "", closed ? "" : Load(level.level),
                        level.RequestsPerSecond(),
                        level.RequestsPerSecond() * static_cast<double>(run.batch()), outcome.ok(),
                        outcome.total() - outcome.ok(), outcome.not_sent, Ms(ok.mean), Ms(ok.min),
                        Ms(ok.p50), Ms(ok.p90), Ms(ok.p95), Ms(ok.p99), Ms(ok.p999), Ms(ok.max));
    text += level.server
                ? fmt::format("{},{},{},{}\n", Ms(level.server->queue), Ms(level.server->input),
                              Ms(level.server->infer), Ms(level.server->output))
                : ",,,\n";
  }
  return text;
}

std::string ToText(const BenchRun& run) {
  const bool closed = run.levels.empty() || run.levels.front().level.clients > 0;
  Table table({{closed ? "CLIENTS" : "RATE", Align::kRight},
               {"REQUESTS/S", Align::kRight},
               {"IMAGES/S", Align::kRight},
               {"MEAN", Align::kRight},
               {"P50", Align::kRight},
               {"P90", Align::kRight},
               {"P99", Align::kRight},
               {"MAX", Align::kRight},
               {"QUEUE", Align::kRight},
               {"COMPUTE", Align::kRight},
               {"OTHER", Align::kRight},
               {"FAILED"}});
  for (const BenchLevel& level : run.levels) {
    const load::Summary& ok = level.outcome.succeeded;
    const auto& server = level.server;
    table.Add({Load(level.level), fmt::format("{:.1f}", level.RequestsPerSecond()),
               fmt::format("{:.1f}", level.RequestsPerSecond() * static_cast<double>(run.batch())),
               Ms(ok.mean), Ms(ok.p50), Ms(ok.p90), Ms(ok.p99), Ms(ok.max),
               server ? Ms(server->queue) : "-",
               server ? Ms(server->input + server->infer + server->output) : "-",
               server ? Ms(ok.mean - server->total()) : "-", Failures(level.outcome)});
  }
  return fmt::format(
             "{}, version {}: {} {}, {}, {} connections; milliseconds of a request, of which queue "
             "and compute in the server\n",
             run.model, run.version, run.datatype, FormatShape(run.shape), run.protocol,
             run.connections) +
         table.Text() + LatenessNote(run);
}

}  // namespace haq::client
