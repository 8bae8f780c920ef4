// The worker's side of the worker protocol (proto/haq/internal/v1): one connection to the server.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/cancellation.h"
#include "core/base/status.h"
#include "haq/internal/v1/worker.pb.h"

namespace haq::server::worker {

namespace proto = ::haq::internal::v1;

// Thread-safe. Calls are repeated while the server is unavailable, for `patience_ms`; what comes
// after that is kUnavailable. kFailedPrecondition and kNotFound of a call that carries the lease
// mean that the lease is lost.
class Link {
 public:
  // `server` is HOST:PORT or unix:PATH.
  explicit Link(std::string server, int64_t patience_ms = 15'000);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  const std::string& server() const { return server_; }

  // Waits up to `wait_ms` at the server; an answer without lease is no job. Not repeated.
  // kCancelled once `stop` is requested.
  Result<proto::LeaseJobResponse> LeaseJob(const std::string& worker, int64_t wait_ms,
                                           const std::stop_token& stop);

  // Writes the blob to `path`, continues where a connection broke, and checks size and SHA-256
  // (kDataLoss). `progress` gets the bytes of each message.
  Status DownloadBlob(const proto::Lease& lease, const proto::BlobRef& blob,
                      const std::filesystem::path& path, const CancellationToken& cancellation,
                      const std::function<void(int64_t)>& progress);

  Result<proto::ReportEventsResponse> ReportEvents(const proto::Lease& lease,
                                                   const std::vector<v1::JobEvent>& events);
  Status SaveCheckpoint(const proto::Lease& lease, std::span<const uint8_t> checkpoint);
  // Returns the SHA-256 under which CompleteJob refers to the artifact. `progress` gets the bytes
  // of each message.
  Result<std::string> WriteArtifact(const proto::Lease& lease, std::span<const uint8_t> artifact,
                                    const std::function<void(int64_t)>& progress);
  // The name of the registered artifact.
  Result<std::string> CompleteJob(const proto::Lease& lease, const std::string& artifact_sha256,
                                  const std::string& report_json);
  Status FailJob(const proto::Lease& lease, const Status& reason, bool retry);

 private:
  struct Stub;
  template <typename Request, typename Response, typename Method>
  Result<Response> Call(Method method, const Request& request);
  Status ReadFrom(const proto::ReadBlobRequest& request, const CancellationToken& cancellation,
                  const std::function<Status(const std::string&)>& on_data);
  Status WriteOnce(const proto::Lease& lease, const std::string& sha256,
                   std::span<const uint8_t> artifact, const std::function<void(int64_t)>& progress);

  std::string server_;
  int64_t patience_ms_;
  std::unique_ptr<Stub> stub_;
};

}  // namespace haq::server::worker
