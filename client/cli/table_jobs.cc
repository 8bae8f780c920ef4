#include "client/cli/table_jobs.h"

#include <fmt/format.h>

#include <cstdlib>
#include <system_error>
#include <utility>

#include "client/cli/watch.h"
#include "client/comparison/peer.h"
#include "client/lib/names.h"
#include "core/base/progress.h"

namespace haq::client {
namespace {

using comparison::Outcome;
using comparison::Row;

struct Cell {
  size_t row = 0;
  const MethodChoice* method = nullptr;
  v1::Job job;
  bool found = false;  // it had ended before
};

// A job that failed or was cancelled in an earlier run is made anew.
Result<v1::Job> FindOrMake(Client& client, const std::string& server_version,
                           const PlannedModel& model, const v1::CalibrationSpec& spec) {
  for (int attempt = 0;; ++attempt) {
    HAQ_ASSIGN_OR_RETURN(v1::Job job,
                         client.CreateJob(spec, RequestIdOf(server_version, model, spec, attempt)));
    if (!IsFinal(job.state()) || job.state() == v1::SUCCEEDED) return job;
  }
}

Result<std::vector<Cell>> MakeCells(App* app, const TableOptions& options, const TablePlan& plan) {
  HAQ_ASSIGN_OR_RETURN(const auto metadata, app->client().ServerMetadata());
  std::vector<Cell> cells;
  for (size_t row = 0; row < plan.models.size(); ++row) {
    const PlannedModel& model = plan.models[row];
    for (const MethodChoice& method : plan.methods) {
      const v1::CalibrationSpec spec = SpecOf(options, plan, model, method);
      Result<v1::Job> job = options.fresh
                                ? app->client().CreateJob(spec)
                                : FindOrMake(app->client(), metadata.version(), model, spec);
      if (!job.ok()) return job.status().WithContext(model.model.name() + ", " + method.name);
      cells.push_back({row, &method, *job, IsFinal(job->state())});
    }
  }
  return cells;
}

Result<v1::Job> WaitFor(App* app, const Cell& cell, const std::string& heading,
                        const std::stop_token& stop) {
  WatchView view(app->progress_stream());
  if (app->progress_stream() != nullptr) app->Hint(heading);
  if (!cell.found) {
    HAQ_RETURN_IF_ERROR(app->client().WatchJob(
        cell.job.name(), 1, [&view](const v1::JobEvent& event) { view.Show(event); }, stop));
    view.Finish();
  }
  return app->client().GetJob(cell.job.name());
}

Status AddJob(const v1::Job& job, const MethodChoice& method, Row* row) {
  Outcome outcome;
  outcome.name = method.name;
  outcome.title = comparison::MethodTitle(method.name);
  outcome.job = job.name();
  if (job.state() == v1::SUCCEEDED) return AddReport(job.report_json(), std::move(outcome), row);
  outcome.error = job.state() == v1::CANCELLED
                      ? fmt::format("{} was cancelled", job.name())
                      : fmt::format("{}: {}: {}", job.name(), job.error_code(), job.error());
  row->methods.push_back(std::move(outcome));
  return {};
}

// The blob as a file of the cache; not downloaded twice.
Result<std::filesystem::path> Fetch(App* app, const std::filesystem::path& folder,
                                    const std::string& sha256, int64_t size_bytes) {
  const auto path = folder / sha256;
  std::error_code error;
  if (std::filesystem::exists(path, error)) return path;
  std::filesystem::create_directories(folder, error);
  if (error) return FailedPrecondition("cannot make {}: {}", folder.string(), error.message());
  ProgressBar bar(app->progress_stream());
  HAQ_RETURN_IF_ERROR(
      app->client().DownloadBlob(sha256, size_bytes, path, [&bar](int64_t done, int64_t total) {
        bar.Update("download", done, total, 0, Unit::kBytes);
      }));
  return path;
}

Result<std::vector<std::filesystem::path>> FetchShards(App* app,
                                                       const std::filesystem::path& folder,
                                                       const v1::Dataset& dataset) {
  std::vector<std::filesystem::path> paths;
  for (const auto& shard : dataset.shards()) {
    HAQ_ASSIGN_OR_RETURN(auto path, Fetch(app, folder, shard.sha256(), shard.size_bytes()));
    paths.push_back(std::move(path));
  }
  return paths;
}

Status RunPytorchOn(App* app, const std::filesystem::path& program, const TableOptions& options,
                    const TablePlan& plan, const PlannedModel& model, const std::stop_token& stop,
                    Row* row) {
  comparison::PeerRequest request;
  HAQ_ASSIGN_OR_RETURN(request.cache, CacheFolder(options));
  const auto blobs = request.cache / "blobs";
  HAQ_ASSIGN_OR_RETURN(request.model,
                       Fetch(app, blobs, model.model.sha256(), model.model.size_bytes()));
  HAQ_ASSIGN_OR_RETURN(request.calibration, FetchShards(app, blobs, model.calibration));
  HAQ_ASSIGN_OR_RETURN(request.evaluation, FetchShards(app, blobs, model.evaluation));
  request.program = program;
  request.input_shape = {model.model.input_shape().begin(), model.model.input_shape().end()};
  request.preprocess_json = model.model.preprocess_json();
  request.limit_calibration = options.limit_calibration;
  request.limit_evaluation = options.limit_evaluation;
  request.weights = plan.weights;
  ProgressBar bar(app->progress_stream());
  HAQ_ASSIGN_OR_RETURN(const std::string printed,
                       RunPeer(
                           request,
                           [&bar](const std::string& what, int64_t done, int64_t total) {
                             bar.Update(what, done, total);
                           },
                           stop));
  bar.Finish();
  return AddPeer(printed, row);
}

}  // namespace

Result<std::filesystem::path> CacheFolder(const TableOptions& options) {
  if (!options.cache.empty()) return std::filesystem::path(options.cache);
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  if (xdg != nullptr && *xdg != '\0') return std::filesystem::path(xdg) / "haq";
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home != '\0') return std::filesystem::path(home) / ".cache/haq";
  return FailedPrecondition("there is no home folder to keep results in: give --cache DIR");
}

Result<comparison::Comparison> RunJobs(App* app, const TableOptions& options, const TablePlan& plan,
                                       const std::stop_token& stop) {
  comparison::Comparison table;
  table.server = app->client().options().server;
  table.scheme = plan.scheme;
  table.weights = plan.weights;
  table.preset = plan.preset;
  table.reference = plan.reference;
  for (const PlannedModel& model : plan.models) {
    Row& row = table.rows.emplace_back();
    row.model = ShortName(model.model.name());
    row.calibration = ShortName(model.calibration.name());
    row.evaluation = ShortName(model.evaluation.name());
  }
  HAQ_ASSIGN_OR_RETURN(const std::vector<Cell> cells, MakeCells(app, options, plan));
  for (size_t i = 0; i < cells.size(); ++i) {
    const Cell& cell = cells[i];
    Row& row = table.rows[cell.row];
    const std::string heading = fmt::format("[{} of {}] {}, {}: {}{}", i + 1, cells.size(),
                                            row.model, comparison::MethodTitle(cell.method->name),
                                            cell.job.name(), cell.found ? ", found" : "");
    HAQ_ASSIGN_OR_RETURN(const v1::Job job, WaitFor(app, cell, heading, stop));
    HAQ_RETURN_IF_ERROR(AddJob(job, *cell.method, &row));
  }
  return table;
}

Status RunPytorch(App* app, const TableOptions& options, const TablePlan& plan,
                  const std::stop_token& stop, comparison::Comparison* table) {
  const auto note = [](const std::string& why, Row* row) { row->pytorch_note = why; };
  Result<std::filesystem::path> program = std::filesystem::path(options.pytorch);
  if (options.pytorch == "auto") program = comparison::FindPeer();
  for (size_t i = 0; i < plan.models.size(); ++i) {
    Row* row = &table->rows[i];
    if (options.pytorch == "off") {
      note("left out by --pytorch off", row);
      continue;
    }
    if (!program.ok()) {
      note(program.status().message(), row);
      continue;
    }
    app->Hint(fmt::format("{}: PyTorch, {}", row->model, plan.weights));
    const Status status = RunPytorchOn(app, *program, options, plan, plan.models[i], stop, row);
    if (status.code() == StatusCode::kCancelled) return status;
    if (!status.ok()) note(std::string(status.message()), row);
  }
  return {};
}

}  // namespace haq::client
