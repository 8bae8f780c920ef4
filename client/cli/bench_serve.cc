// haq bench-serve: how much load a server takes, and how long its answers take under it.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <utility>

#include "client/cli/app.h"
#include "client/cli/bench_inputs.h"
#include "client/cli/bench_levels.h"
#include "client/cli/bench_output.h"
#include "client/cli/interrupt.h"
#include "client/lib/names.h"
#include "client/load/run.h"
#include "client/load/transport.h"
#include "core/base/exit_code.h"

namespace haq::client {
namespace {

constexpr int kMaxConnections = 10'000;
constexpr int64_t kMostConnectionsByDefault = 16;  // of an open loop

struct BenchOptions {
  BenchInputs inputs;
  std::string clients = "1", rates;
  std::string spacing = "constant";
  std::string protocol = "grpc", http = "127.0.0.1:8000";
  std::string csv;
  load::Window window;
  int64_t connections = 0, threads = 1, max_outstanding = 10'000;
};

Result<std::vector<load::Level>> Levels(const BenchOptions& options) {
  std::vector<load::Level> levels;
  const bool open = !options.rates.empty();
  HAQ_ASSIGN_OR_RETURN(const std::vector<double> values,
                       open ? ParseLevels("--request-rate", options.rates, 1e-3, 1e7)
                            : ParseLevels("--clients", options.clients, 1, 1e5));
  for (const double value : values) {
    load::Level level{.seed = options.inputs.seed, .max_outstanding = options.max_outstanding};
    if (open) {
      level.rate = value;
      level.spacing =
          options.spacing == "poisson" ? load::Spacing::kPoisson : load::Spacing::kConstant;
    } else {
      if (value != static_cast<int>(value)) {
        return InvalidField("--clients", "{} is no whole number", value);
      }
      level.clients = static_cast<int>(value);
    }
    levels.push_back(level);
  }
  return levels;
}

// As many as clients, each of whom would have its own.
int64_t Connections(const BenchOptions& options, const std::vector<load::Level>& levels) {
  if (options.connections > 0) return options.connections;
  int64_t connections = 1;
  for (const load::Level& level : levels) {
    connections = std::max<int64_t>(connections,
                                    level.clients > 0 ? level.clients : kMostConnectionsByDefault);
  }
  return std::min<int64_t>(connections, kMaxConnections);
}

Result<std::unique_ptr<load::Transport>> Connect(
    const ClientOptions& client, const BenchOptions& options, int64_t connections,
    const std::vector<inference::ModelInferRequest>& requests) {
  const load::TransportOptions transport{.connections = static_cast<int>(connections),
                                         .threads = static_cast<int>(options.threads)};
  if (options.protocol == "http") {
    if (client.tls.enabled) {
      return Unsupported("--protocol http: without TLS only; --protocol grpc speaks it");
    }
    return load::ConnectHttp(options.http, client.timeout_ms, transport, requests);
  }
  return load::ConnectGrpc(client, transport, requests);
}

// Of all versions that were asked for, summed.
struct ServerSums {
  double requests = 0, queue = 0, input = 0, infer = 0, output = 0;
};

std::optional<ServerSums> ReadSums(Client& client, const BenchInputs& inputs) {
  const auto response = client.ModelStatistics(inputs.model, inputs.version);
  if (!response.ok()) return std::nullopt;
  ServerSums sums;
  for (const auto& model : response->model_stats()) {
    const auto& stats = model.inference_stats();
    sums.requests += static_cast<double>(stats.success().count());
    sums.queue += static_cast<double>(stats.queue().ns()) / 1e9;
    sums.input += static_cast<double>(stats.compute_input().ns()) / 1e9;
    sums.infer += static_cast<double>(stats.compute_infer().ns()) / 1e9;
    sums.output += static_cast<double>(stats.compute_output().ns()) / 1e9;
  }
  return sums;
}

std::optional<ServerTimes> TimesBetween(const std::optional<ServerSums>& before,
                                        const std::optional<ServerSums>& after) {
  if (!before || !after || after->requests <= before->requests) return std::nullopt;
  const double requests = after->requests - before->requests;
  return ServerTimes{.queue = (after->queue - before->queue) / requests,
                     .input = (after->input - before->input) / requests,
                     .infer = (after->infer - before->infer) / requests,
                     .output = (after->output - before->output) / requests};
}

std::string Describe(const load::Level& level) {
  return level.clients > 0 ? fmt::format("{} clients", level.clients)
                           : fmt::format("{:g} requests a second", level.rate);
}

// One request by itself, whose error is worth more than a thousand counts of its code.
Status TryOne(Client& client, const inference::ModelInferRequest& request) {
  return client.ModelInfer(request).status();
}

Result<BenchRun> Measure(App* app, const BenchOptions& options, const std::stop_token& stop) {
  HAQ_ASSIGN_OR_RETURN(const std::vector<load::Level> levels, Levels(options));
  HAQ_ASSIGN_OR_RETURN(const auto metadata, app->client().ModelMetadata(options.inputs.model));
  HAQ_ASSIGN_OR_RETURN(const auto requests, MakeBenchRequests(metadata, options.inputs));
  HAQ_RETURN_IF_ERROR(TryOne(app->client(), requests.front()));
  const int64_t connections = Connections(options, levels);
  HAQ_ASSIGN_OR_RETURN(const auto transport,
                       Connect(app->client().options(), options, connections, requests));
  const auto& input = requests.front().inputs(0);
  BenchRun run{.model = options.inputs.model,
               .version = options.inputs.version.empty() && metadata.versions_size() > 0
                              ? metadata.versions(metadata.versions_size() - 1)
                              : options.inputs.version,
               .protocol = options.protocol,
               .datatype = input.datatype(),
               .shape = {input.shape().begin(), input.shape().end()},
               .connections = connections,
               .levels = {}};
  for (const load::Level& level : levels) {
    app->Hint(fmt::format("{}: {:g} s, after {:g} s that are not counted", Describe(level),
                          options.window.duration, options.window.warmup));
    const auto before = ReadSums(app->client(), options.inputs);
    HAQ_ASSIGN_OR_RETURN(
        load::Outcome outcome,
        load::RunLevel(*transport, static_cast<int>(requests.size()), level, options.window, stop));
    const auto after = ReadSums(app->client(), options.inputs);
    run.levels.push_back({level, std::move(outcome), TimesBetween(before, after)});
  }
  return run;
}

Status WriteCsv(const std::string& path, const BenchRun& run) {
  std::ofstream file(path, std::ios::binary);
  file << ToCsv(run);
  file.close();
  if (!file) return FailedPrecondition("cannot write {}", path);
  return {};
}

// Found out before minutes of measurement, not after.
Status CheckWritable(const std::string& path) {
  if (path.empty() || std::ofstream(path, std::ios::binary | std::ios::app)) return {};
  return FailedPrecondition("--csv: cannot write {}", path);
}

Result<int> BenchServe(App* app, BenchOptions options) {
  const std::string separator = "/versions/";
  std::string& model = options.inputs.model;
  if (const size_t at = model.find(separator); at != std::string::npos) {
    options.inputs.version = model.substr(at + separator.size());
    model.resize(at);
  }
  model = ShortName(FullName("models", model));
  HAQ_RETURN_IF_ERROR(CheckWritable(options.csv));
  InterruptGuard interrupt;
  const auto run = Measure(app, options, interrupt.token());
  if (interrupt.interrupted()) return kExitInterrupted;
  if (!run.ok()) return run.status();
  if (!options.csv.empty()) {
    HAQ_RETURN_IF_ERROR(WriteCsv(options.csv, *run));
    app->Hint("wrote " + options.csv);
  }
  if (app->json()) {
    app->PrintJson(ToJson(*run));
  } else {
    app->Print(ToText(*run));
  }
  const bool all_answered =
      std::all_of(run->levels.begin(), run->levels.end(),
                  [](const BenchLevel& level) { return level.outcome.ok() > 0; });
  return all_answered ? kExitOk : kExitFailure;
}

void AddLoadOptions(CLI::App* command, BenchOptions* options) {
  CLI::Option* clients =
      command
          ->add_option("--clients", options->clients,
                       "Closed loop: so many clients, each of which waits for its answer before it "
                       "sends again; several levels: 1,4,16 or FIRST:LAST:STEP (default 1)")
          ->type_name("N,..");
  CLI::Option* rate =
      command
          ->add_option("--request-rate", options->rates,
                       "Open loop: so many requests a second, whether or not others were answered; "
                       "latency counts from when a request was due")
          ->excludes(clients)
          ->type_name("R,..");
  command
      ->add_option("--spacing", options->spacing,
                   "Of an open loop's requests: constant (default) or poisson")
      ->check(CLI::IsMember({"constant", "poisson"}))
      ->needs(rate)
      ->type_name("NAME");
  command
      ->add_option("--max-outstanding", options->max_outstanding,
                   "Requests of an open loop that may be under way (default 10000); what would be "
                   "more is counted as not sent")
      ->check(NumberFrom(1, 1e6))
      ->needs(rate)
      ->type_name("N");
  command
      ->add_option("--duration", options->window.duration, "Seconds to measure a level (default 5)")
      ->check(NumberFrom(0.1, 86400))
      ->type_name("SECONDS");
  command
      ->add_option("--warmup", options->window.warmup,
                   "Seconds of load before that, which are not counted (default 1)")
      ->check(NumberFrom(0, 3600))
      ->type_name("SECONDS");
}

void AddRequestOptions(CLI::App* command, BenchOptions* options) {
  command->add_option("--batch", options->inputs.batch, "Samples of a request (default 1)")
      ->check(NumberFrom(1, 1e5))
      ->type_name("N");
  command
      ->add_option(
          "--datatype", options->inputs.datatype,
          "Of drawn values: FP32 (default), UINT8 or INT8 (levels, a quarter of the bytes)")
      ->check(CLI::IsMember({"FP32", "UINT8", "INT8"}))
      ->type_name("NAME");
  command
      ->add_option("--distinct", options->inputs.distinct,
                   "Requests with values of their own, sent in turn (default 8)")
      ->check(NumberFrom(1, 1e5))
      ->type_name("N");
  command->add_option("--seed", options->inputs.seed, "Of drawn values and times (default 1)")
      ->type_name("N");
}

void AddTransportOptions(CLI::App* command, BenchOptions* options) {
  command->add_option("--protocol", options->protocol, "grpc (default) or http")
      ->check(CLI::IsMember({"grpc", "http"}))
      ->type_name("NAME");
  command
      ->add_option("--http", options->http,
                   "Address for --protocol http (default 127.0.0.1:8000); --server is asked about "
                   "the model all the same")
      ->type_name("HOST:PORT");
  command
      ->add_option("--connections", options->connections,
                   "Connections (default: one for each client, 16 in an open loop)")
      ->check(NumberFrom(1, kMaxConnections))
      ->type_name("N");
  command
      ->add_option("--threads", options->threads,
                   "Threads of this side that take answers (default 1)")
      ->check(NumberFrom(1, 256))
      ->type_name("N");
  command->add_option("--csv", options->csv, "Write a line for each level")->type_name("FILE");
}

}  // namespace

void AddBenchServeCommand(CLI::App* root, App* app) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command = app->AddCommand(
      root, "bench-serve", "Measure a server's throughput and latency under load",
      "haq bench-serve resnet20 --clients 1,4,16 --batch 8\n"
      "haq bench-serve resnet20 --request-rate 500:3000:500 --spacing poisson --csv rates.csv\n"
      "haq bench-serve resnet20 cat.jpg dog.jpg --protocol http --json",
      [app, options] { return BenchServe(app, *options); });
  command->add_option("MODEL", options->inputs.model, "Name of the model, or NAME/versions/N")
      ->required();
  command->add_option(
      "FILES", options->inputs.files,
      "JPEG or PNG files to send, which the server decodes (default: drawn values)");
  AddLoadOptions(command, options.get());
  AddRequestOptions(command, options.get());
  AddTransportOptions(command, options.get());
}

}  // namespace haq::client
