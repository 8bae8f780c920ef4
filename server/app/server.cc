#include "server/app/server.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "core/base/file.h"
#include "core/runtime/session.h"
#include "server/http/routes.h"

namespace haq::server::app {
namespace {

constexpr std::chrono::milliseconds kLookAtFiles{1000};

}  // namespace

Server::Server(const Settings& settings)
    : settings_(settings),
      repository_(settings.serving, metrics_),
      engine_(settings.serving, repository_, metrics_),
      loader_(repository_, engine_),
      inference_(engine_, repository_, loader_, metrics_, [this] { return Ready(); }) {
  loader_.SetOnIdle([this] { TellHealth(); });
}

Result<std::unique_ptr<Server>> Server::Start(const Settings& settings) {
  std::unique_ptr<Server> server(new Server(settings));
  HAQ_RETURN_IF_ERROR(server->StartParts());
  return Result<std::unique_ptr<Server>>(std::move(server));
}

Server::~Server() { Stop(); }

Status Server::StartParts() {
  // Before anything is touched: no model could be loaded with a wrong HAQ_CPU.
  HAQ_ASSIGN_OR_RETURN(const std::string_view kernels, runtime::KernelPath());
  metrics_.SetKernels(kernels);
  HAQ_RETURN_IF_ERROR(ReadTls());
  // The data folder first: its lock keeps a second server away from everything that follows.
  HAQ_RETURN_IF_ERROR(OpenService());
  HAQ_RETURN_IF_ERROR(job_metrics_.Count(service_->queue()));
  // Served versions load in the background, so that probes are answered (live, not ready) and a
  // large model does not delay the ports. Announced before a job could register a newer version.
  HAQ_RETURN_IF_ERROR(LoadModels());
  HAQ_RETURN_IF_ERROR(StartHttp());
  HAQ_RETURN_IF_ERROR(StartGrpc());
  // Workers connect to the gRPC server's socket.
  HAQ_RETURN_IF_ERROR(StartWorkers());
  // The last thing: whoever waits for the file finds everything running.
  HAQ_RETURN_IF_ERROR(WritePortsFile());
  started_ = true;
  TellHealth();
  return {};
}

void Server::TellHealth() {
  // Also on the loader's thread: before the start is over there is no server to tell.
  if (started_) grpc_server_->SetServing(Ready());
}

void Server::Stop() {
  if (std::exchange(stopped_, true)) return;
  // Not ready: load balancers look elsewhere while requests under way finish.
  started_ = false;
  if (grpc_server_) grpc_server_->SetServing(false);
  std::this_thread::sleep_for(std::chrono::milliseconds(settings_.drain_delay_ms));
  std::error_code ignored;
  if (service_) std::filesystem::remove(ports_file(), ignored);
  // Watchers and waiting workers hold calls open until the queue lets them go; local workers end
  // here and their jobs go back to the queue.
  if (service_) service_->BeginShutdown();
  // No new calls; those under way use engine and service, which are still there.
  if (grpc_server_) grpc_server_->Shutdown();
  if (http_server_) http_server_->Stop();
  // Nobody registers versions or sends requests any more.
  loader_.Stop();
  engine_.Stop();
  // The metrics last, for a scrape of the end; the rest goes with the members, in reverse order.
  if (metrics_server_) metrics_server_->Stop();
}

Status Server::ReadTls() {
  if (!settings_.tls.enabled()) return {};
  HAQ_ASSIGN_OR_RETURN(auth::Certificates read, auth::ReadCertificates(settings_.tls));
  for (const std::string& warning : read.warnings) spdlog::warn("{}", warning);
  certificates_ = std::make_shared<auth::CertificateStore>(settings_.tls, std::move(read));
  certificate_watcher_ = std::make_unique<auth::FileWatcher>(
      settings_.tls.all(), kLookAtFiles, [store = certificates_] {
        if (const Status status = store->Reload(); !status.ok()) {
          return spdlog::error("{}; the certificate before stays in use", status.message());
        }
        for (const std::string& warning : store->current()->warnings) spdlog::warn("{}", warning);
        spdlog::info("--tls-cert: read again, for new connections");
      });
  return {};
}

Status Server::OpenService() {
  api::ServiceOptions options;
  options.data_dir = settings_.data_dir;
  options.limits = settings_.api;
  options.queue = settings_.jobs;
  options.artifact_listener = &figure_metrics_;
  options.job_listener = &job_metrics_;
  options.gc_grace_s = settings_.gc_grace_s;
  options.gc_period_s = settings_.gc_period_s;
  options.on_blobs_removed = [this](int64_t blobs, int64_t bytes) {
    metrics_.CountRemovedBlobs(blobs, bytes);
  };
  auto service = api::Service::Open(options);
  if (!service.ok()) return service.status().WithContext("--data-dir");
  service_ = *std::move(service);
  storage_metrics_ = std::make_unique<StorageMetrics>(service_->data_folder(), metrics_);
  // Of a server that was killed.
  std::error_code ignored;
  std::filesystem::remove(ports_file(), ignored);
  return {};
}

Status Server::LoadModels() {
  HAQ_ASSIGN_OR_RETURN(const auto versions, service_->artifacts().AllVersions());
  for (const api::ServedVersion& version : versions) {
    if (version.served) {
      figure_metrics_.OnVersionRegistered(version.model_id, version.version, version.path);
      figure_metrics_.OnFigures(version.model_id, version.figures);
    }
  }
  return {};
}

Status Server::StartHttp() {
  http::Options options;
  options.address = settings_.listen;
  options.max_connections = settings_.max_http_connections;
  options.max_header_bytes = settings_.max_http_header_bytes;
  options.header_timeout = std::chrono::milliseconds(settings_.http_timeout_ms);
  options.certificates = certificates_;
  const auto count = [this](std::string_view route, int status) {
    metrics_.CountHttp(route, status);
  };

  options.port = settings_.metrics_port;
  auto metrics = http::Server::Start(options, http::MetricsRoutes([this] {
                                       storage_metrics_->Update();
                                       metrics_.SetClipping(repository_.Clipping());
                                       return metrics_.Scrape();
                                     }),
                                     count);
  if (!metrics.ok()) return metrics.status().WithContext("--metrics-port");
  metrics_server_ = *std::move(metrics);

  options.port = settings_.http_port;
  options.threads = settings_.http_threads;
  options.max_body_bytes = settings_.max_http_body_bytes;
  options.max_buffered_bytes = settings_.max_http_buffered_bytes;
  options.body_timeout = std::chrono::milliseconds(settings_.http_body_timeout_ms);
  const http::InferenceParts parts{
      engine_, repository_, loader_, metrics_, [this] { return Ready(); }, options.max_body_bytes};
  auto http = http::Server::Start(options, http::InferenceRoutes(parts), count);
  if (!http.ok()) return http.status().WithContext("--http-port");
  http_server_ = *std::move(http);
  return {};
}

Status Server::StartGrpc() {
  rpc::GrpcOptions options;
  options.address = HostPort(settings_.listen, settings_.grpc_port);
  options.max_message_bytes = settings_.max_message_bytes;
  options.shutdown_timeout_ms = settings_.stop_timeout_ms;
  options.handshake_timeout_ms = settings_.http_timeout_ms;
  options.certificates = certificates_;
  auto grpc = rpc::StartGrpcServer(
      options, *service_, {{inference::GRPCInferenceService::service_full_name(), &inference_}});
  if (!grpc.ok()) return grpc.status().WithContext("--grpc-port");
  grpc_server_ = *std::move(grpc);
  return {};
}

Status Server::StartWorkers() {
  if (settings_.workers == 0) {
    TellIsolation(sandbox::Report::NothingAsked());
    return {};
  }
  const auto report = service_->StartWorkers({.program = settings_.worker_binary,
                                              .count = settings_.workers,
                                              .isolation = settings_.isolation});
  if (!report.ok()) {
    const bool binary = report.status().code() == StatusCode::kNotFound;
    return report.status().WithContext(binary ? "--worker-binary (--workers 0 runs without)"
                                              : "--worker-isolation (--workers 0 runs without)");
  }
  TellIsolation(*report);
  return {};
}

void Server::TellIsolation(const sandbox::Report& report) {
  for (int i = 0; i < sandbox::kMechanisms; ++i) {
    const auto mechanism = static_cast<sandbox::Mechanism>(i);
    metrics_.SetWorkerIsolation(sandbox::NameOf(mechanism),
                                report[mechanism] == sandbox::Report::kOn);
  }
}

Status Server::WritePortsFile() {
  const nlohmann::ordered_json ports = {{"pid", ::getpid()},
                                        {"listen", settings_.listen},
                                        {"http", http_server_->port()},
                                        {"grpc", grpc_server_->port()},
                                        {"metrics", metrics_server_->port()},
                                        {"tls", certificates_ != nullptr}};
  return WriteFileDurably(ports_file(), ports.dump() + "\n").WithContext("--data-dir");
}

Ports Server::ports() const {
  return {http_server_->port(), grpc_server_->port(), metrics_server_->port()};
}

std::filesystem::path Server::ports_file() const {
  return service_->data_folder().root() / "run" / "ports.json";
}

bool Server::Ready() {
  if (!started_) return false;
  // Once all that was served at start is loaded, a new version does not make the server unready.
  if (!loaded_ && loader_.Idle()) loaded_ = true;
  return loaded_;
}

}  // namespace haq::server::app
