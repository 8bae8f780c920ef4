#include "server/app/settings.h"

#include <arpa/inet.h>

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>

#include "core/base/exit_code.h"
#include "core/base/version.h"
#include "core/runtime/session.h"
#include "server/app/config_file.h"

namespace haq::server::app {
namespace {

class Flags {
 public:
  explicit Flags(CLI::App& app) : app_(app) {}

  template <typename T>
  CLI::Option* Add(const std::string& flag, T& value, const std::string& help) {
    return app_.add_option(flag, value, help)
        ->envname(VariableOf(flag))
        ->capture_default_str()
        ->group(group_);
  }
  template <typename T>
  void AddNumber(const std::string& flag, T& value, const std::string& help, int64_t low,
                 int64_t high) {
    Add(flag, value, help)->check(CLI::Range(low, high));
  }
  void AddSwitch(const std::string& flag, bool& value, const std::string& help) {
    app_.add_flag(flag, value, help)->envname(VariableOf(flag))->group(group_);
  }
  void SetGroup(const std::string& group) { group_ = group; }

 private:
  CLI::App& app_;
  std::string group_;
};

constexpr int64_t kMany = int64_t{1} << 40;
constexpr int64_t kDay = 86'400'000;

// The protocol's messages cannot be larger than this, whatever the setting.
constexpr int64_t kMaxMessage = (int64_t{1} << 31) - 1;

std::string CheckAddress(const std::string& text) {
  in6_addr address{};
  if (inet_pton(AF_INET, text.c_str(), &address) == 1 ||
      inet_pton(AF_INET6, text.c_str(), &address) == 1) {
    return {};
  }
  return "'" + text + "' is not a literal IPv4 or IPv6 address (127.0.0.1, ::1, 0.0.0.0)";
}

void AddNetwork(Flags& flags, Settings& s) {
  flags.SetGroup("Network");
  flags.Add("--listen", s.listen, "Address of all three ports")->check(CheckAddress);
  flags.AddNumber("--http-port", s.http_port, "HTTP; 0 is a free one", 0, 65535);
  flags.AddNumber("--grpc-port", s.grpc_port, "gRPC; 0 is a free one", 0, 65535);
  flags.AddNumber("--metrics-port", s.metrics_port, "Prometheus metrics; 0 is a free one", 0,
                  65535);
  flags.AddNumber("--max-message-bytes", s.max_message_bytes, "Largest gRPC request or answer",
                  1 << 16, kMaxMessage);
  flags.AddNumber("--http-threads", s.http_threads, "Threads of the HTTP port", 1, 64);
  flags.AddNumber("--max-http-connections", s.max_http_connections,
                  "Open connections, for the HTTP and the metrics port each", 1, 100'000);
  flags.AddNumber("--max-http-header-bytes", s.max_http_header_bytes, "Header of an HTTP request",
                  256, 1 << 20);
  flags.AddNumber("--http-timeout-ms", s.http_timeout_ms,
                  "Time for an HTTP request's header to arrive, and of an idle connection", 10,
                  kDay);
}

void AddTls(Flags& flags, Settings& s) {
  flags.SetGroup("Security");
  flags.Add("--tls-cert", s.tls.certificate,
            "PEM certificate of the server, and those that issued it: TLS on all three ports");
  flags.Add("--tls-key", s.tls.key, "PEM key of --tls-cert, without a password");
  flags.Add("--tls-client-ca", s.tls.client_ca,
            "PEM certificates of who issues clients' certificates, which are required then");
}

void AddHttpBodies(Flags& flags, Settings& s) {
  flags.AddNumber("--max-http-body-bytes", s.max_http_body_bytes,
                  "Body of an HTTP request, as it is sent and decompressed", 1 << 10, kMaxMessage);
  flags.AddNumber("--max-http-buffered-bytes", s.max_http_buffered_bytes,
                  "Bodies of all HTTP requests that are under way", 1 << 10, kMany);
  flags.AddNumber("--http-body-timeout-ms", s.http_body_timeout_ms,
                  "Time for an HTTP request's body to arrive", 10, kDay);
}

void AddServing(Flags& flags, Settings& s) {
  flags.SetGroup("Serving");
  flags.AddNumber("--threads", s.serving.threads,
                  "Threads that run networks and decode images; 0 is one per core", 0, 1024);
  flags.AddNumber("--sessions-per-model", s.serving.sessions_per_model,
                  "Batches of one model that run at a time; 0 is as many as threads", 0, 1024);
  flags.AddNumber("--session-threads", s.serving.session_threads,
                  "Threads that share one inference: 1 for throughput, one per core for latency", 1,
                  runtime::Session::kMaxThreads);
  flags.AddSwitch("--skip-self-test", s.serving.skip_self_test,
                  "Do not run the golden inputs of a model when it is loaded");
  flags.AddNumber("--max-batch", s.serving.max_batch, "Images (samples) of one request", 1, 65536);
  flags.AddNumber("--session-batch", s.serving.session_batch,
                  "Samples that run at a time; larger batches run in pieces", 1, 65536);
  flags.AddNumber("--dynamic-batch", s.serving.dynamic_batch,
                  "Samples of several requests that run together; 1 runs every request alone", 1,
                  65536);
  flags.AddNumber("--max-queue-delay-us", s.serving.max_queue_delay_us,
                  "How long a request waits for others to join its batch", 0, 60'000'000);
  flags.AddNumber("--priority-levels", s.serving.priority_levels,
                  "Priorities that requests may ask for; 1 is the highest", 1, 100);
  flags.AddNumber("--default-priority", s.serving.default_priority, "Of requests that ask for none",
                  1, 100);
  flags.AddNumber("--max-arena-bytes", s.serving.max_arena_bytes,
                  "Memory for the tensors of a running request", 1 << 10, kMany);
  flags.AddNumber("--max-queue", s.serving.max_queue,
                  "Requests of one model that wait for a thread", 1, 1'000'000);
  flags.AddNumber("--max-queue-bytes", s.serving.max_queue_bytes, "Bytes of all requests that wait",
                  1, kMany);
  flags.AddNumber("--clipping-sample", s.serving.clipping_sample,
                  "One sample in so many is looked at for clipped activations; 0 is none", 0,
                  kMany);
  flags.AddNumber("--clipping-tensors", s.serving.clipping_tensors,
                  "Tensors of a model that have metrics of their clipping", 0, 16384);
  flags.AddNumber("--clipping-half-life-s", s.serving.clipping_half_life_s,
                  "After so long, what was counted of clipping weighs half as much", 1, 86'400);
  flags.AddNumber("--max-image-bytes", s.serving.max_image_bytes, "One encoded image in a request",
                  1, kMaxMessage);
  flags.AddNumber("--max-image-pixels", s.serving.max_image_pixels, "One image in a request", 1,
                  int64_t{1} << 32);
}

void AddIsolation(Flags& flags, sandbox::Options& isolation) {
  const std::map<std::string, sandbox::Mode> modes = {{"auto", sandbox::Mode::kAuto},
                                                      {"require", sandbox::Mode::kRequire},
                                                      {"off", sandbox::Mode::kOff}};
  flags
      .Add("--worker-isolation", isolation.mode,
           "auto: what the machine allows; require: no worker without; off")
      ->transform(CLI::CheckedTransformer(modes))
      ->default_str("auto");
  flags.Add("--worker-user", isolation.user,
            "User of the workers when the server runs as root; root keeps that");
  sandbox::Limits& limits = isolation.limits;
  flags.AddNumber("--worker-max-memory-bytes", limits.max_memory_bytes,
                  "Private memory of a worker; 0 is no limit", 0, kMany);
  flags.AddNumber("--worker-max-cpu-seconds", limits.max_cpu_seconds,
                  "CPU time of a job, all threads together; 0 is no limit", 0, kMany);
  flags.AddNumber("--worker-max-threads", limits.max_threads,
                  "Threads and processes of the workers' user; 0 is no limit", 0, 1 << 20);
  flags.AddNumber("--worker-max-file-bytes", limits.max_file_bytes,
                  "A file that a worker writes; 0 is no limit", 0, kMany);
  flags.AddNumber("--worker-max-open-files", limits.max_open_files,
                  "Open files of a worker; 0 is no limit", 0, 1 << 20);
}

void AddJobs(Flags& flags, Settings& s) {
  flags.SetGroup("Jobs and uploads");
  flags.AddNumber("--workers", s.workers, "Worker processes to keep running; 0 is none", 0, 256);
  flags.Add("--worker-binary", s.worker_binary, "Default: haq-worker beside haq-server");
  AddIsolation(flags, s.isolation);
  flags.AddNumber("--max-job-seconds", s.jobs.max_job_seconds,
                  "An attempt at a job that takes longer fails; 0 is no limit", 0, kMany);
  flags.AddNumber("--lease-ms", s.jobs.lease_ms,
                  "A worker that is silent for so long has lost its job", 1000, kDay);
  flags.AddNumber("--max-attempts", s.jobs.max_attempts,
                  "Attempts of a job whose worker disappears", 1, 100);
  flags.AddNumber("--max-queued-jobs", s.jobs.max_queued, "Jobs that wait", 1, 1'000'000);
  flags.AddNumber("--max-model-bytes", s.api.max_model_bytes, "A submitted model", 1, kMany);
  flags.AddNumber("--max-artifact-bytes", s.api.max_artifact_bytes, "A quantized model", 1, kMany);
  flags.AddNumber("--max-models", s.api.max_models, "Models", 1, 10'000'000);
  flags.AddNumber("--max-datasets", s.api.max_datasets, "Datasets", 1, 10'000'000);
  flags.AddNumber("--max-shards-per-dataset", s.api.max_shards_per_dataset, "Shards of a dataset",
                  1, 10'000'000);
}

void AddProgram(Flags& flags, Settings& s) {
  flags.SetGroup("Program");
  flags.Add("--data-dir", s.data_dir, "Folder that holds everything the server keeps");
  flags.AddNumber("--gc-grace-s", s.gc_grace_s,
                  "How long a blob that nothing refers to stays: time to refer to an upload", 0,
                  kMany);
  flags.AddNumber("--gc-period-s", s.gc_period_s,
                  "Time between two looks for such blobs; 0 is only at start", 0, kMany);
  flags.AddNumber("--stop-timeout-ms", s.stop_timeout_ms,
                  "How long requests under way may finish when the server stops", 0, kDay);
  flags.AddNumber("--drain-delay-ms", s.drain_delay_ms,
                  "How long the server goes on taking requests, unready, before it stops", 0, kDay);
  flags.Add("--log-level", s.log_level, "Least level that is logged, to stderr")
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "off"}));
  flags.AddSwitch("--log-json", s.log_json, "Log one JSON object a line");
}

// What no single flag can check.
void CheckTogether(const Settings& settings) {
  if (const auto tls = auth::ReadCertificates(settings.tls); !tls.ok()) {
    throw CLI::ValidationError(tls.status().message());
  }
  if (settings.serving.default_priority > settings.serving.priority_levels) {
    throw CLI::ValidationError(
        "--default-priority",
        fmt::format("is {}; --priority-levels allows 1 to {}", settings.serving.default_priority,
                    settings.serving.priority_levels));
  }
}

std::string Footer() {
  return "Every flag has an environment variable (--max-batch is HAQ_MAX_BATCH) and a key in the "
         "file\n"
         "of --config (max-batch); the flag wins over the variable, and that over the file.\n"
         "SIGTERM and SIGINT stop the server after the requests under way; a second one ends it at "
         "once.\n\n" +
         std::string(ExitCodeHelp()) + "\nhaq-server ends with 0 when it was asked to stop.\n";
}

// HAQ_CONFIG names a file that has to be there, as --config does.
void AddConfigFile(CLI::App& app) {
  const char* const from_environment = std::getenv("HAQ_CONFIG");
  const std::string file = from_environment != nullptr ? from_environment : "";
  app.set_config("--config", file, "TOML file with settings (HAQ_CONFIG)", !file.empty())
      ->group("Program");
  app.config_formatter(std::make_shared<TomlConfig>(app));
}

}  // namespace

ParsedSettings ParseSettings(int argc, const char* const* argv) {
  Settings settings;
  CLI::App app("Keeps models, datasets and calibration jobs, and serves quantized models.",
               "haq-server");
  app.set_version_flag("--version", std::string(kVersion));
  app.footer(Footer());
  Flags flags(app);
  AddProgram(flags, settings);
  AddNetwork(flags, settings);
  AddTls(flags, settings);
  AddHttpBodies(flags, settings);
  AddJobs(flags, settings);
  AddServing(flags, settings);
  AddConfigFile(app);
  bool check_config = false;
  app.add_flag("--check-config", check_config, "Check the settings, and do nothing else")
      ->group("Program");
  try {
    app.parse(argc, argv);
    CheckTogether(settings);
    if (check_config) {
      std::puts("haq-server: the settings are valid");
      return {std::nullopt, kExitOk};
    }
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return {std::nullopt, code == 0 ? kExitOk : kExitUsage};
  }
  return {std::move(settings), kExitOk};
}

bool IsBeyondLoopback(const std::string& listen) {
  in_addr v4{};
  if (inet_pton(AF_INET, listen.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 != 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, listen.c_str(), &v6) != 1 || !IN6_IS_ADDR_LOOPBACK(&v6);
}

std::string HostPort(const std::string& host, int port) {
  const bool bracket = host.find(':') != std::string::npos;
  return (bracket ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace haq::server::app
