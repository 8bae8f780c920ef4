#include "server/api/service.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <system_error>

#include "server/log/fields.h"
#include "server/sandbox/plan.h"
#include "server/store/sqlite_metadata.h"

namespace haq::server::api {
namespace {

constexpr int64_t kHourUs = int64_t{3600} * 1'000'000;

store::UploadLimits MakeUploadLimits(const Limits& limits) {
  return {std::max(limits.max_model_bytes, limits.max_shard_bytes), limits.max_unfinished_uploads};
}

void LogFailure(const char* what, const Status& status) {
  if (!status.ok()) spdlog::error("{}: {}", what, status.ToString());
}

}  // namespace

Result<std::unique_ptr<Service>> Service::Open(const ServiceOptions& options) {
  HAQ_ASSIGN_OR_RETURN(store::DataFolder folder, store::DataFolder::Open(options.data_dir));
  HAQ_ASSIGN_OR_RETURN(auto metadata, store::OpenSqliteMetadata(folder.database()));
  std::unique_ptr<Service> service(new Service(options, std::move(folder), std::move(metadata)));
  HAQ_RETURN_IF_ERROR(service->Recover());
  return Result<std::unique_ptr<Service>>(std::move(service));
}

Service::Service(ServiceOptions options, store::DataFolder data_folder,
                 std::unique_ptr<store::Metadata> metadata)
    : options_(std::move(options)),
      clock_(options_.clock ? *options_.clock : store::SystemClock()),
      data_folder_(std::move(data_folder)),
      metadata_(std::move(metadata)) {
  blobs_ = std::make_unique<store::BlobStore>(data_folder_.blobs());
  uploads_ = std::make_unique<store::Uploads>(data_folder_.uploads(), *blobs_,
                                              MakeUploadLimits(options_.limits));
  queue_ = std::make_unique<jobs::Queue>(*metadata_, *blobs_, data_folder_.checkpoints(), clock_,
                                         options_.queue, options_.job_listener);
  context_.reset(new Context{
      *metadata_, *blobs_, *queue_, clock_, options_.limits, options_.artifact_listener, {}});
  models_ = std::make_unique<Models>(*context_);
  datasets_ = std::make_unique<Datasets>(*context_);
  calibration_jobs_ = std::make_unique<CalibrationJobs>(*context_);
  artifacts_ = std::make_unique<Artifacts>(*context_);
  workers_ = std::make_unique<Workers>(*context_, data_folder_.uploads(), options_.queue.lease_ms);
  executor_ = std::make_unique<Executor>(options_.threads, options_.max_waiting_calls);
  heavy_executor_ =
      std::make_unique<Executor>(options_.heavy_threads, options_.max_waiting_heavy_calls);
}

Service::~Service() {
  BeginShutdown();
  if (lease_thread_.joinable()) lease_thread_.join();
}

Status Service::Recover() {
  HAQ_RETURN_IF_ERROR(queue_->Recover());
  std::error_code error;
  std::vector<std::filesystem::path> unfinished;
  for (const auto& entry : std::filesystem::directory_iterator(data_folder_.uploads(), error)) {
    if (entry.path().filename().string().starts_with("artifact-")) {
      unfinished.push_back(entry.path());
    }
  }
  for (const auto& path : unfinished) std::filesystem::remove(path, error);
  const int64_t now_us = clock_.NowUs();
  uploads_->RemoveOlderThan(now_us - options_.keep_uploads_hours * kHourUs);
  HAQ_RETURN_IF_ERROR(metadata_->Write([&](store::Transaction& transaction) -> Status {
    transaction.DeleteRequestsBefore(now_us - options_.keep_requests_hours * kHourUs);
    return {};
  }));
  HAQ_RETURN_IF_ERROR(RemoveUnusedBlobs());
  if (options_.lease_check_period_ms > 0) {
    lease_thread_ = std::thread([this] { CheckLeases(); });
  }
  return {};
}

Status Service::RemoveUnusedBlobs() {
  const int64_t before_us = clock_.NowUs() - options_.gc_grace_s * 1'000'000;
  int64_t blobs = 0, bytes = 0;
  for (const std::string& sha256 : blobs_->ListOlderThan(before_us)) {
    bool referenced = false;
    HAQ_RETURN_IF_ERROR(metadata_->Read([&](store::Transaction& transaction) -> Status {
      referenced = transaction.IsReferenced(sha256);
      return {};
    }));
    if (referenced) continue;
    // Inside a write transaction, so that nothing can begin to refer to it meanwhile; one for each,
    // so that others get in between.
    HAQ_RETURN_IF_ERROR(metadata_->Write([&](store::Transaction& transaction) -> Status {
      if (transaction.IsReferenced(sha256)) return {};
      HAQ_ASSIGN_OR_RETURN(const int64_t freed, blobs_->RemoveIfOlderThan(sha256, before_us));
      blobs += freed > 0 ? 1 : 0;
      bytes += freed;
      return {};
    }));
  }
  if (blobs > 0) spdlog::info("removed {} blobs ({} bytes) that nothing refers to", blobs, bytes);
  if (options_.on_blobs_removed) options_.on_blobs_removed(blobs, bytes);
  return {};
}

void Service::CheckLeases() {
  const auto period = std::chrono::milliseconds(options_.lease_check_period_ms);
  const int64_t gc_period_us = options_.gc_period_s * 1'000'000;
  int64_t collected_us = clock_.NowUs();
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, period, [this] { return stopping_; })) {
    lock.unlock();
    const Result<std::vector<std::string>> workers = queue_->ExpireLeases();
    LogFailure("checking leases", workers.status());
    if (gc_period_us > 0 && clock_.NowUs() - collected_us >= gc_period_us) {
      LogFailure("removing unused blobs", RemoveUnusedBlobs());
      collected_us = clock_.NowUs();
    }
    lock.lock();
    if (!workers.ok() || !supervisor_ || stopping_) continue;
    for (const std::string& worker : *workers) supervisor_->Kill(worker);
  }
}

// Makes the folders of the workers, opens the socket to their user, and tries out what the machine
// allows.
Result<sandbox::Report> Service::PrepareIsolation(const sandbox::Options& options,
                                                  const std::filesystem::path& program) {
  const std::filesystem::path folder = data_folder_.worker_folders();
  const std::filesystem::path socket = data_folder_.worker_socket();
  HAQ_RETURN_IF_ERROR(data_folder_.RemoveWorkerFolders());
  HAQ_ASSIGN_OR_RETURN(const sandbox::User user, sandbox::FindUser(options));
  // Another user has to pass through the folder, and must not list it.
  if (::chmod(folder.c_str(), user.change ? 0711 : 0700) != 0) {
    return store::SystemError(folder, "protect");
  }
  if (user.change && ::chown(socket.c_str(), user.uid, user.gid) != 0) {
    return store::SystemError(socket, "give to the workers' user");
  }
  if (options.mode == sandbox::Mode::kOff) {
    spdlog::warn("isolation of workers: off (--worker-isolation)");
    return sandbox::Report::NothingAsked();
  }
  const std::filesystem::path trial = folder / "embedded-trial";
  std::error_code error;
  std::filesystem::create_directory(trial, error);
  HAQ_ASSIGN_OR_RETURN(const sandbox::Plan plan, sandbox::Plan::Make(options, trial, program));
  HAQ_ASSIGN_OR_RETURN(const sandbox::Report report, plan.Try());
  std::filesystem::remove(trial, error);
  if (options.mode == sandbox::Mode::kRequire && !report.Complete()) {
    return FailedPrecondition("isolation of workers is required; {}", report.Describe());
  }
  spdlog::log(report.Complete() ? spdlog::level::info : spdlog::level::warn,
              "isolation of workers: {}", report.Describe());
  return report;
}

Result<sandbox::Report> Service::StartWorkers(const WorkerOptions& options) {
  jobs::SupervisorOptions supervisor;
  HAQ_ASSIGN_OR_RETURN(supervisor.program, jobs::FindWorkerProgram(options.program));
  HAQ_ASSIGN_OR_RETURN(const sandbox::Report report,
                       PrepareIsolation(options.isolation, supervisor.program));
  supervisor.folders = data_folder_.worker_folders();
  supervisor.isolation = options.isolation;
  // Relative to the worker's folder, which may be all that its user can reach.
  supervisor.arguments = {"serve", "--server", "unix:../worker.sock", "--scratch", "."};
  // What one job did to its process must not reach the next.
  if (options.isolation.mode != sandbox::Mode::kOff) {
    supervisor.arguments.insert(supervisor.arguments.end(), {"--max-jobs", "1"});
  }
  supervisor.workers = options.count;
  jobs::SupervisorCallbacks callbacks;
  callbacks.on_start = [](const std::string& worker, int pid) {
    log::Write(spdlog::level::info, {{"worker", worker}},
               fmt::format("worker {} runs as process {}", worker, pid));
  };
  const bool only_one = options.count == 1;
  callbacks.on_exit = [this, only_one](const std::string& worker, const jobs::ProcessExit& exit) {
    const bool done = exit.signal == 0 && exit.code == 0;
    log::Write(done ? spdlog::level::debug : spdlog::level::warn, {{"worker", worker}},
               fmt::format("worker {} {}", worker, exit.Describe()));
    if (options_.job_listener != nullptr && !done && !queue_->closed()) {
      options_.job_listener->OnWorkerRestart(exit.Crashed());
    }
    LogFailure("releasing a worker's job", queue_->ReleaseWorker(worker, exit, only_one));
  };
  callbacks.on_failure = [](const Status& reason) {
    spdlog::error("worker: {}", reason.ToString());
  };
  const std::lock_guard lock(mutex_);
  supervisor_ = std::make_unique<jobs::Supervisor>(std::move(supervisor), std::move(callbacks));
  supervisor_->Start();
  return report;
}

void Service::BeginShutdown() {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  stop_.notify_all();
  // No job is given out any more; then those that are out come back, before their workers die and
  // it looks as if they had lost them.
  queue_->Close();
  LogFailure("putting jobs back", queue_->ReleaseLocal("the server was stopped"));
  if (supervisor_) supervisor_->Stop();
}

}  // namespace haq::server::api
