#include "server/worker/link.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <thread>
#include <utility>

#include "core/base/canonical_code.h"
#include "core/base/sha256.h"
#include "haq/internal/v1/worker.grpc.pb.h"

namespace haq::server::worker {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr size_t kChunkBytes = 1 << 20;
constexpr int kMaxReceiveBytes = 512 << 20;  // a lease carries the checkpoint
constexpr auto kCallTimeout = std::chrono::seconds(60);

Status FromGrpc(const grpc::Status& status) {
  return status.ok() ? Status()
                     : Status(FromCanonicalCode(status.error_code()), status.error_message());
}

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& server) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  return grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(), arguments);
}

// Pauses between attempts until the patience is over.
class Patience {
 public:
  explicit Patience(int64_t patience_ms) : end_(Clock::now() + milliseconds(patience_ms)) {}
  bool Wait() {
    if (Clock::now() >= end_) return false;
    std::this_thread::sleep_for(pause_);
    pause_ = std::min(pause_ * 2, milliseconds(1000));
    return true;
  }

 private:
  Clock::time_point end_;
  milliseconds pause_{50};
};

}  // namespace

struct Link::Stub {
  std::unique_ptr<proto::WorkerService::Stub> service;
};

Link::Link(std::string server, int64_t patience_ms)
    : server_(std::move(server)),
      patience_ms_(patience_ms),
      stub_(std::make_unique<Stub>(Stub{proto::WorkerService::NewStub(MakeChannel(server_))})) {}
Link::~Link() = default;

template <typename Request, typename Response, typename Method>
Result<Response> Link::Call(Method method, const Request& request) {
  Patience patience(patience_ms_);
  while (true) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
    Response response;
    const grpc::Status status = (stub_->service.get()->*method)(&context, request, &response);
    if (status.ok()) return response;
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE || !patience.Wait()) {
      return FromGrpc(status);
    }
  }
}

Result<proto::LeaseJobResponse> Link::LeaseJob(const std::string& worker, int64_t wait_ms,
                                               const std::stop_token& stop) {
  proto::LeaseJobRequest request;
  request.set_worker(worker);
  request.set_wait_ms(wait_ms);
  grpc::ClientContext context;
  // A server that accepts but never answers must not hold the worker for ever.
  context.set_deadline(std::chrono::system_clock::now() + milliseconds(wait_ms) + kCallTimeout);
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  proto::LeaseJobResponse response;
  const grpc::Status status = stub_->service->LeaseJob(&context, request, &response);
  if (status.ok()) return response;
  return FromGrpc(status);
}

Status Link::ReadFrom(const proto::ReadBlobRequest& request, const CancellationToken& cancellation,
                      const std::function<Status(const std::string&)>& on_data) {
  grpc::ClientContext context;
  const auto reader = stub_->service->ReadBlob(&context, request);
  proto::ReadBlobResponse response;
  Status handled;
  while (handled.ok() && reader->Read(&response)) {
    handled = cancellation.Check();
    if (handled.ok()) handled = on_data(response.data());
  }
  if (!handled.ok()) context.TryCancel();
  const grpc::Status status = reader->Finish();
  return handled.ok() ? FromGrpc(status) : handled;
}

Status Link::DownloadBlob(const proto::Lease& lease, const proto::BlobRef& blob,
                          const std::filesystem::path& path, const CancellationToken& cancellation,
                          const std::function<void(int64_t)>& progress) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  if (!file) return ResourceExhausted("cannot create {}", path.string());
  Sha256 sha;
  int64_t offset = 0;
  const auto append = [&](const std::string& data) -> Status {
    offset += static_cast<int64_t>(data.size());
    if (offset > blob.size_bytes()) {
      return DataLoss("blob {}: more than its {} bytes arrived", blob.sha256(), blob.size_bytes());
    }
    sha.Update(data);
    if (!file.write(data.data(), static_cast<std::streamsize>(data.size()))) {
      return ResourceExhausted("cannot write {}: the disk may be full", path.string());
    }
    if (progress) progress(static_cast<int64_t>(data.size()));
    return {};
  };
  proto::ReadBlobRequest request;
  *request.mutable_lease() = lease;
  request.set_sha256(blob.sha256());
  Patience patience(patience_ms_);
  while (offset < blob.size_bytes()) {
    request.set_offset(offset);
    const int64_t before = offset;
    const Status status = ReadFrom(request, cancellation, append);
    if (!status.ok() && status.code() != StatusCode::kUnavailable) return status;
    if (offset == blob.size_bytes()) break;
    if (offset > before) patience = Patience(patience_ms_);
    if (!patience.Wait()) {
      return Unavailable("blob {}: {} of {} bytes arrived", blob.sha256(), offset,
                         blob.size_bytes());
    }
  }
  file.close();
  if (!file) return ResourceExhausted("cannot write {}: the disk may be full", path.string());
  const std::string arrived = ToHex(sha.Finish());
  if (arrived != blob.sha256()) {
    return DataLoss("blob {}: what arrived has SHA-256 {}", blob.sha256(), arrived);
  }
  return {};
}

Result<proto::ReportEventsResponse> Link::ReportEvents(const proto::Lease& lease,
                                                       const std::vector<v1::JobEvent>& events) {
  proto::ReportEventsRequest request;
  *request.mutable_lease() = lease;
  for (const v1::JobEvent& event : events) *request.add_events() = event;
  return Call<proto::ReportEventsRequest, proto::ReportEventsResponse>(
      &proto::WorkerService::Stub::ReportEvents, request);
}

Status Link::SaveCheckpoint(const proto::Lease& lease, std::span<const uint8_t> checkpoint) {
  proto::SaveCheckpointRequest request;
  *request.mutable_lease() = lease;
  request.set_checkpoint(checkpoint.data(), checkpoint.size());
  return Call<proto::SaveCheckpointRequest, proto::SaveCheckpointResponse>(
             &proto::WorkerService::Stub::SaveCheckpoint, request)
      .status();
}

Status Link::WriteOnce(const proto::Lease& lease, const std::string& sha256,
                       std::span<const uint8_t> artifact,
                       const std::function<void(int64_t)>& progress) {
  grpc::ClientContext context;
  proto::WriteArtifactResponse response;
  const auto writer = stub_->service->WriteArtifact(&context, &response);
  proto::WriteArtifactRequest request;
  *request.mutable_lease() = lease;
  request.set_sha256(sha256);
  request.set_size_bytes(static_cast<int64_t>(artifact.size()));
  for (size_t offset = 0; offset < artifact.size(); offset += kChunkBytes) {
    const auto chunk = artifact.subspan(offset, std::min(kChunkBytes, artifact.size() - offset));
    request.set_data(chunk.data(), chunk.size());
    if (!writer->Write(request)) break;  // Finish says why
    if (progress) progress(static_cast<int64_t>(chunk.size()));
    request.Clear();
  }
  writer->WritesDone();
  return FromGrpc(writer->Finish());
}

Result<std::string> Link::WriteArtifact(const proto::Lease& lease,
                                        std::span<const uint8_t> artifact,
                                        const std::function<void(int64_t)>& progress) {
  const std::string sha256 = ToHex(Sha256Of(artifact));
  Patience patience(patience_ms_);
  while (true) {
    const Status status = WriteOnce(lease, sha256, artifact, progress);
    if (status.ok()) return sha256;
    if (status.code() != StatusCode::kUnavailable || !patience.Wait()) return status;
  }
}

Result<std::string> Link::CompleteJob(const proto::Lease& lease, const std::string& artifact_sha256,
                                      const std::string& report_json) {
  proto::CompleteJobRequest request;
  *request.mutable_lease() = lease;
  request.set_artifact_sha256(artifact_sha256);
  request.set_report_json(report_json);
  HAQ_ASSIGN_OR_RETURN(const auto response,
                       (Call<proto::CompleteJobRequest, proto::CompleteJobResponse>(
                           &proto::WorkerService::Stub::CompleteJob, request)));
  return response.artifact();
}

Status Link::FailJob(const proto::Lease& lease, const Status& reason, bool retry) {
  proto::FailJobRequest request;
  *request.mutable_lease() = lease;
  request.set_code(std::string(StatusCodeName(reason.code())));
  request.set_message(reason.message());
  request.set_retry(retry);
  return Call<proto::FailJobRequest, proto::FailJobResponse>(&proto::WorkerService::Stub::FailJob,
                                                             request)
      .status();
}

}  // namespace haq::server::worker
