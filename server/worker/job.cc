#include "server/worker/job.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <cstdlib>
#include <map>
#include <new>
#include <utility>

#include "core/base/file.h"
#include "core/pipeline/pipeline.h"
#include "server/worker/options.h"
#include "server/worker/reporter.h"
#include "server/worker/scratch.h"

namespace haq::server::worker {
namespace {

// Counts the bytes of several transfers as one phase of progress.
class ByteProgress {
 public:
  ByteProgress(Reporter& reporter, std::string phase, int64_t total)
      : reporter_(reporter), progress_{std::move(phase), 0, total, 0} {}
  std::function<void(int64_t)> Callback() {
    return [this](int64_t bytes) {
      progress_.done += bytes;
      reporter_.OnProgress(progress_);
    };
  }

 private:
  Reporter& reporter_;
  pipeline::Progress progress_;
};

class JobListener : public pipeline::Listener {
 public:
  JobListener(Link& link, const proto::Lease& lease, Reporter& reporter, Watchdog& watchdog)
      : link_(link), lease_(lease), reporter_(reporter), watchdog_(watchdog) {}
  void OnProgress(const pipeline::Progress& progress) override {
    watchdog_.Touch();
    reporter_.OnProgress(progress);
    // The server is to know the phase that a crash happens in. A lost lease shows as cancellation.
    if (progress.phase != phase_) (void)reporter_.Flush();
    phase_ = progress.phase;
  }
  void OnAccuracy(const pipeline::Accuracy& accuracy) override { reporter_.OnAccuracy(accuracy); }
  void OnWarning(const std::string& message) override { reporter_.OnLog("warning", message); }
  Status SaveCheckpoint(std::span<const uint8_t> checkpoint) override {
    return link_.SaveCheckpoint(lease_, checkpoint);
  }

 private:
  Link& link_;
  const proto::Lease& lease_;
  Reporter& reporter_;
  Watchdog& watchdog_;
  std::string phase_;
};

using Blobs = std::map<std::string, std::filesystem::path>;  // by SHA-256

Status OutOfMemory(const std::string& where) {
  rlimit limit{};
  ::getrlimit(RLIMIT_DATA, &limit);
  const std::string allowed =
      limit.rlim_cur == RLIM_INFINITY
          ? std::string()
          : fmt::format("; its limit is {} bytes (--worker-max-memory-bytes)", limit.rlim_cur);
  return ResourceExhausted("the worker ran out of memory{}{}{}", allowed, where.empty() ? "" : ": ",
                           where);
}

// What the libraries say when an allocation fails, which their wrappers take for a fault of the
// model.
Status RecognizeOutOfMemory(Status status) {
  for (const char* const text : {"std::bad_alloc", "can't allocate memory"}) {
    if (status.message().find(text) != std::string::npos) return OutOfMemory(status.message());
  }
  return status;
}

class Job {
 public:
  Job(Link& link, const proto::LeaseJobResponse& leased, const JobOptions& options)
      : link_(link),
        leased_(leased),
        options_(options),
        reporter_(link, leased.lease(), leased.lease_ms(), cancellation_) {}

  Status Run();
  void Report(const Status& status, const std::stop_token& stop);
  const CancellationToken& cancellation() const { return cancellation_; }

 private:
  Result<Blobs> Download(const std::filesystem::path& folder);
  pipeline::Options PipelineOptions() const;
  Result<pipeline::Output> Quantize(const Blobs& blobs);
  Status HandIn(const pipeline::Output& output);
  [[noreturn]] void GiveUp();

  Link& link_;
  const proto::LeaseJobResponse& leased_;
  const JobOptions& options_;
  CancellationToken cancellation_;
  Reporter reporter_;
  std::filesystem::path folder_;  // of the running job
};

Result<Blobs> Job::Download(const std::filesystem::path& folder) {
  std::map<std::string, proto::BlobRef> wanted{{leased_.model().sha256(), leased_.model()}};
  for (const auto& shard : leased_.calibration_shards()) wanted[shard.sha256()] = shard;
  for (const auto& shard : leased_.evaluation_shards()) wanted[shard.sha256()] = shard;
  int64_t total = 0;
  for (const auto& [sha256, blob] : wanted) total += blob.size_bytes();
  ByteProgress progress(reporter_, "download", total);
  Blobs blobs;
  for (const auto& [sha256, blob] : wanted) {
    const std::filesystem::path path = folder / sha256;
    HAQ_RETURN_IF_ERROR(
        link_.DownloadBlob(leased_.lease(), blob, path, cancellation_, progress.Callback()));
    blobs[sha256] = path;
  }
  return blobs;
}

pipeline::Options Job::PipelineOptions() const {
  pipeline::Options options = OptionsOf(leased_.spec());
  options.input_shape.assign(leased_.input_shape().begin(), leased_.input_shape().end());
  if (!leased_.preprocess_json().empty()) options.preprocess_json = leased_.preprocess_json();
  options.class_names.assign(leased_.class_names().begin(), leased_.class_names().end());
  options.threads = options_.threads;
  options.checkpoint_interval_ms = options_.checkpoint_interval_ms;
  return options;
}

Result<pipeline::Output> Job::Quantize(const Blobs& blobs) {
  const auto opener = [&blobs](const auto& shards) {
    std::vector<std::filesystem::path> paths;
    for (const auto& shard : shards) paths.push_back(blobs.at(shard.sha256()));
    return [paths]() -> Result<std::unique_ptr<data::SampleReader>> {
      return data::ReadShards(paths);
    };
  };
  HAQ_ASSIGN_OR_RETURN(const MappedFile model,
                       MappedFile::Open(blobs.at(leased_.model().sha256())));
  pipeline::Inputs inputs;
  inputs.model = model.bytes();
  inputs.open_calibration = opener(leased_.calibration_shards());
  inputs.open_evaluation = opener(leased_.evaluation_shards());
  inputs.checkpoint.assign(leased_.checkpoint().begin(), leased_.checkpoint().end());
  Watchdog watchdog(options_.limits, cancellation_, [this] { GiveUp(); });
  JobListener listener(link_, leased_.lease(), reporter_, watchdog);
  return pipeline::Quantize(PipelineOptions(), inputs, listener, cancellation_);
}

// Called on the watchdog's thread while the pipeline hangs: nothing can be unwound.
void Job::GiveUp() {
  const Status reason(StatusCode::kDeadlineExceeded,
                      cancellation_.cancelled()
                          ? "the job could not be stopped, so the worker was ended"
                          : fmt::format("no progress for {} s, so the worker was ended",
                                        options_.limits.stall_ms / 1000));
  spdlog::error("{}: {}", leased_.lease().job(), reason.message());
  if (!reporter_.lost()) (void)link_.FailJob(leased_.lease(), reason, /*retry=*/false);
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
  spdlog::shutdown();
  std::_Exit(kExitStalled);
}

Status Job::HandIn(const pipeline::Output& output) {
  ByteProgress progress(reporter_, "upload", static_cast<int64_t>(output.artifact.size()));
  HAQ_ASSIGN_OR_RETURN(const std::string sha256,
                       link_.WriteArtifact(leased_.lease(), output.artifact, progress.Callback()));
  HAQ_RETURN_IF_ERROR(reporter_.Flush());
  // No report may come after the job has ended.
  reporter_.Stop();
  HAQ_ASSIGN_OR_RETURN(const std::string name,
                       link_.CompleteJob(leased_.lease(), sha256, output.report_json));
  spdlog::info("{}: done, {}", leased_.lease().job(), name);
  return {};
}

Status Job::Run() try {
  HAQ_ASSIGN_OR_RETURN(const auto scratch, ScratchFolder::Make(options_.scratch));
  folder_ = scratch->path();
  HAQ_ASSIGN_OR_RETURN(const Blobs blobs, Download(folder_));
  HAQ_ASSIGN_OR_RETURN(const pipeline::Output output, Quantize(blobs));
  return HandIn(output);
} catch (const std::bad_alloc&) {
  return OutOfMemory("");
}

void Job::Report(const Status& status, const std::stop_token& stop) {
  const std::string& job = leased_.lease().job();
  if (status.ok()) return;
  if (reporter_.lost()) {
    spdlog::warn("{}: dropped, its lease is lost", job);
    return;
  }
  const bool cancelled = reporter_.cancel_requested();
  const bool stopped = stop.stop_requested() && !cancelled;
  // The last progress and the warnings; the reason comes with FailJob in any case.
  if (const Status flushed = reporter_.Flush(); !flushed.ok()) return;
  reporter_.Stop();
  const Status reason = stopped ? Unavailable("the worker was stopped") : status;
  const bool retry = stopped || status.code() == StatusCode::kUnavailable;
  spdlog::info("{}: {}", job, reason.ToString());
  if (const Status told = link_.FailJob(leased_.lease(), reason, retry); !told.ok()) {
    spdlog::warn("{}: the server did not accept the failure: {}", job, told.ToString());
  }
}

}  // namespace

void RunJob(Link& link, const proto::LeaseJobResponse& leased, const JobOptions& options,
            const std::stop_token& stop) {
  spdlog::info("{}: attempt {}{}", leased.lease().job(), leased.attempt(),
               leased.checkpoint().empty() ? "" : ", from a checkpoint");
  Job job(link, leased, options);
  const std::stop_callback cancel(stop, [&job] { job.cancellation().Cancel(); });
  job.Report(RecognizeOutOfMemory(job.Run()), stop);
}

}  // namespace haq::server::worker
