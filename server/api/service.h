// Everything the server keeps and does but for the network and inference: one object that owns the
// stores, the queue and the use cases.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "server/api/artifacts.h"
#include "server/api/calibration_jobs.h"
#include "server/api/datasets.h"
#include "server/api/executor.h"
#include "server/api/models.h"
#include "server/api/open_blob.h"
#include "server/api/workers.h"
#include "server/jobs/supervisor.h"
#include "server/sandbox/isolation.h"
#include "server/store/data_folder.h"
#include "server/store/uploads.h"

namespace haq::server::api {

struct ServiceOptions {
  std::filesystem::path data_dir;
  Limits limits;
  jobs::QueueOptions queue;
  ArtifactListener* artifact_listener = nullptr;  // both may be null, and outlive the service
  jobs::Listener* job_listener = nullptr;
  const store::Clock* clock = nullptr;  // null: the system's
  int threads = 4;                      // for everything but what follows
  int heavy_threads = 2;                // for checking datasets and artifacts
  int max_waiting_calls = 1024;         // more are RESOURCE_EXHAUSTED
  int max_waiting_heavy_calls = 64;
  int lease_check_period_ms = 1000;      // 0: never, the caller calls queue().ExpireLeases()
  int64_t keep_requests_hours = 7 * 24;  // how long a request_id is remembered
  int64_t keep_uploads_hours = 7 * 24;   // of unfinished uploads
  int64_t gc_grace_s = 86'400;           // of finished blobs that nothing refers to
  int64_t gc_period_s = 3600;            // between two looks for such blobs; 0: only at start
  // So many blobs and bytes were removed because nothing referred to them; may be empty.
  std::function<void(int64_t blobs, int64_t bytes)> on_blobs_removed = {};
};

struct WorkerOptions {
  std::filesystem::path program;  // empty: haq-worker beside this program
  int count = 1;
  sandbox::Options isolation;
};

// Start: Open, then the network (rpc::StartGrpcServer), then StartWorkers.
// Stop: BeginShutdown, then the network, then the destructor. BeginShutdown comes first because
// watchers and waiting workers keep their calls open until the queue lets them go.
class Service {
 public:
  // Errors are those of store::DataFolder::Open and store::OpenSqliteMetadata.
  static Result<std::unique_ptr<Service>> Open(const ServiceOptions& options);
  ~Service();

  Models& models() { return *models_; }
  Datasets& datasets() { return *datasets_; }
  CalibrationJobs& calibration_jobs() { return *calibration_jobs_; }
  Artifacts& artifacts() { return *artifacts_; }
  Workers& workers() { return *workers_; }
  // Of a blob that is complete, whatever refers to it.
  Result<OpenBlob> ReadBlob(const std::string& sha256, int64_t offset) const {
    return OpenBlob::Open(*blobs_, sha256, offset);
  }
  store::Uploads& uploads() { return *uploads_; }
  jobs::Queue& queue() { return *queue_; }
  Executor& executor() { return *executor_; }
  Executor& heavy_executor() { return *heavy_executor_; }
  const store::DataFolder& data_folder() const { return data_folder_; }
  const ServiceOptions& options() const { return options_; }

  // Starts worker processes that connect to data_folder().worker_socket(), and keeps them running.
  // What isolates them on this machine. kNotFound when there is no program, kFailedPrecondition
  // when isolation is required and the machine refuses it.
  Result<sandbox::Report> StartWorkers(const WorkerOptions& options);

  // Ends what waits (kUnavailable), puts running jobs of local workers back to the queue and stops
  // those workers. May be called more than once.
  void BeginShutdown();

 private:
  Service(ServiceOptions options, store::DataFolder data_folder,
          std::unique_ptr<store::Metadata> metadata);

  Status Recover();
  Status RemoveUnusedBlobs();
  Result<sandbox::Report> PrepareIsolation(const sandbox::Options& options,
                                           const std::filesystem::path& program);
  void CheckLeases();

  const ServiceOptions options_;
  const store::Clock& clock_;
  store::DataFolder data_folder_;
  std::unique_ptr<store::Metadata> metadata_;
  std::unique_ptr<store::BlobStore> blobs_;
  std::unique_ptr<store::Uploads> uploads_;
  std::unique_ptr<jobs::Queue> queue_;
  std::unique_ptr<Context> context_;
  std::unique_ptr<Models> models_;
  std::unique_ptr<Datasets> datasets_;
  std::unique_ptr<CalibrationJobs> calibration_jobs_;
  std::unique_ptr<Artifacts> artifacts_;
  std::unique_ptr<Workers> workers_;
  std::unique_ptr<jobs::Supervisor> supervisor_;
  // After what their tasks use.
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Executor> heavy_executor_;

  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread lease_thread_;
};

}  // namespace haq::server::api
