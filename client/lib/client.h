// The client of a HAQ server: what the command line `haq` and other C++ programs call.
//
// Every call returns the server's own words on failure (code, message, fields that were wrong).
// kUnavailable and kDeadlineExceeded name the server. Names are full resource names
// ("models/resnet20", client/lib/names.h). All methods are thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "haq/v1/artifacts.pb.h"
#include "haq/v1/blobs.pb.h"
#include "haq/v1/datasets.pb.h"
#include "haq/v1/jobs.pb.h"
#include "haq/v1/models.pb.h"
#include "inference/inference.pb.h"

namespace haq::client {

// What is PEM here is the text itself, not a file's name.
struct TlsOptions {
  bool enabled = false;
  std::string ca_pem;                    // who the server's certificate is from; "": the system's
  std::string certificate_pem, key_pem;  // the client's own, for servers that ask for one
  std::string server_name;               // in the server's certificate; "": the host of `server`
};

struct ClientOptions {
  std::string server = "127.0.0.1:8001";  // HOST:PORT, or unix:PATH
  TlsOptions tls = {};
  std::string token = {};  // sent with every call, "" is none
  // One call, its retries included; 0 is without end. Transfers and WatchJob have no deadline, and
  // neither has CreateDataset, during which the server reads every image.
  int64_t timeout_ms = 60'000;
  // A server that cannot be reached is tried again for this long ...
  int64_t retry_ms = 2'000;
  // ... and for this long once a transfer or a watch had begun, since it may be restarting.
  int64_t reconnect_ms = 60'000;
};

// Bytes or images done, of how many.
using ProgressCallback = std::function<void(int64_t done, int64_t total)>;

class Client {
 public:
  explicit Client(ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Uploads `path` and returns the SHA-256 under which requests refer to it. What the server has is
  // not sent again; a transfer that broke off, in this call or an earlier one, continues at the
  // byte that the server kept. kNotFound and so on for the file itself.
  Result<std::string> UploadFile(const std::filesystem::path& path,
                                 const ProgressCallback& progress = {});

  // Creates are idempotent: they carry a request id and are repeated when the answer was lost.
  Result<v1::Model> CreateModel(const std::string& model_id, const v1::Model& model);
  Result<v1::Model> GetModel(const std::string& name);
  Result<std::vector<v1::Model>> ListModels();
  Status DeleteModel(const std::string& name, bool force);
  // "models/resnet20/versions/2"; serving it already is OK.
  Result<v1::Model> PromoteVersion(const std::string& name);
  // Back to the version that was served before.
  Result<v1::Model> RollbackModel(const std::string& name);

  Result<v1::Dataset> CreateDataset(const std::string& dataset_id, const v1::Dataset& dataset);
  Result<v1::Dataset> GetDataset(const std::string& name);
  Result<std::vector<v1::Dataset>> ListDatasets();
  Status DeleteDataset(const std::string& name, bool force);

  // The same `request_id` returns the job that it made; "" is a new one.
  Result<v1::Job> CreateJob(const v1::CalibrationSpec& spec, const std::string& request_id = "");
  Result<v1::Job> GetJob(const std::string& name);
  // Newest first, at most `limit` (0: all); JOB_STATE_UNSPECIFIED: in any state.
  Result<std::vector<v1::Job>> ListJobs(v1::JobState state, int64_t limit = 0);
  Result<v1::Job> CancelJob(const std::string& name);

  // Calls `on_event` with every event from `from_sequence` on (0 and 1: all), in order, each once,
  // until the job has ended. A connection that breaks is made again behind the last event. OK: the
  // job ended (in whatever state); kCancelled: `stop` was requested; kDataLoss: the server left
  // events out. `on_event` runs on the calling thread.
  Status WatchJob(const std::string& name, int64_t from_sequence,
                  const std::function<void(const v1::JobEvent&)>& on_event,
                  const std::stop_token& stop = {});

  Result<v1::Artifact> GetArtifact(const std::string& name);
  // `parent` "" lists those of every model.
  Result<std::vector<v1::Artifact>> ListArtifacts(const std::string& parent);
  // Writes the artifact to `path`: into a file beside it first, which an interrupted download
  // leaves and the next one continues, then checked against its SHA-256 (kDataLoss), made durable
  // and renamed into place.
  Result<v1::Artifact> DownloadArtifact(const std::string& name, const std::filesystem::path& path,
                                        const ProgressCallback& progress = {});

  // Writes the blob of that digest, a model's file or a dataset's shard, to `path`, in the same
  // way.
  Status DownloadBlob(const std::string& sha256, int64_t size_bytes,
                      const std::filesystem::path& path, const ProgressCallback& progress = {});

  Result<inference::ServerMetadataResponse> ServerMetadata();
  Result<bool> ServerReady();
  Result<inference::ModelMetadataResponse> ModelMetadata(const std::string& model_id);
  // kUnsupported and so on from servers of others that have none.
  Result<inference::ModelStatisticsResponse> ModelStatistics(const std::string& model_id,
                                                             const std::string& version);
  Result<inference::ModelInferResponse> ModelInfer(const inference::ModelInferRequest& request);

  const ClientOptions& options() const { return options_; }

 private:
  struct Stubs;

  Status WriteUpload(const std::filesystem::path& path, const v1::Upload& upload,
                     const ProgressCallback& progress);
  Status WatchOnce(const v1::WatchJobRequest& request, const std::stop_token& stop,
                   const std::function<Status(const v1::JobEvent&)>& on_event);
  struct RemoteFile;
  Status Download(const RemoteFile& file, const std::filesystem::path& path,
                  const ProgressCallback& progress);
  template <typename Response, typename Start>
  Status Append(const RemoteFile& file, int64_t offset, std::ofstream& part, const Start& start,
                const ProgressCallback& progress);
  Status DownloadOnce(const RemoteFile& file, const std::filesystem::path& part,
                      const ProgressCallback& progress);

  ClientOptions options_;
  std::unique_ptr<Stubs> stubs_;
};

// The event after which nothing comes: the job's state is SUCCEEDED, FAILED or CANCELLED.
bool EndsJob(const v1::JobEvent& event);
bool IsFinal(v1::JobState state);

}  // namespace haq::client
