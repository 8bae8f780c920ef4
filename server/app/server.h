// The whole server: its parts, and the order in which they start and stop.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "core/base/status.h"
#include "server/api/service.h"
#include "server/app/job_metrics.h"
#include "server/app/settings.h"
#include "server/app/storage_metrics.h"
#include "server/auth/certificates.h"
#include "server/auth/file_watcher.h"
#include "server/http/server.h"
#include "server/metrics/metrics.h"
#include "server/rpc/inference_service.h"
#include "server/rpc/server.h"
#include "server/serving/engine.h"
#include "server/serving/loader.h"
#include "server/serving/repository.h"

namespace haq::server::app {

struct Ports {
  int http = 0, grpc = 0, metrics = 0;
};

class Server {
 public:
  // Errors name the flag whose value cannot be used: --data-dir, one of the ports, --worker-binary.
  static Result<std::unique_ptr<Server>> Start(const Settings& settings);
  // As Stop().
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  Ports ports() const;
  // DATA_DIR/run/ports.json: {"pid", "listen", "http", "grpc", "metrics"}, there while it runs.
  std::filesystem::path ports_file() const;
  // Everything has started, and every served version was loaded or found broken.
  bool Ready();

  // Becomes unready, goes on for Settings::drain_delay_ms, lets requests under way finish, at most
  // Settings::stop_timeout_ms, puts running jobs back to the queue and stops everything.
  // Idempotent.
  void Stop();

 private:
  explicit Server(const Settings& settings);

  Status StartParts();
  Status ReadTls();
  Status OpenService();
  Status LoadModels();
  Status StartHttp();
  Status StartGrpc();
  Status StartWorkers();
  void TellIsolation(const sandbox::Report& report);
  Status WritePortsFile();
  void TellHealth();

  const Settings settings_;
  std::atomic<bool> started_{false};
  std::atomic<bool> loaded_{false};
  bool stopped_ = false;

  // In the order in which they need each other.
  std::shared_ptr<auth::CertificateStore> certificates_;  // null: no TLS
  std::unique_ptr<auth::FileWatcher> certificate_watcher_;
  metrics::Metrics metrics_;
  JobMetrics job_metrics_{metrics_};
  serving::Repository repository_;
  serving::Engine engine_;
  serving::Loader loader_;
  FigureMetrics figure_metrics_{metrics_, loader_};
  rpc::InferenceService inference_;
  std::unique_ptr<api::Service> service_;
  std::unique_ptr<StorageMetrics> storage_metrics_;
  std::unique_ptr<http::Server> metrics_server_;
  std::unique_ptr<http::Server> http_server_;
  std::unique_ptr<rpc::GrpcServer> grpc_server_;
};

}  // namespace haq::server::app
