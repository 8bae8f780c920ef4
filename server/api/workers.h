// The server's side of the worker protocol. Nothing that a worker sends is believed unchecked.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "core/base/sha256.h"
#include "haq/internal/v1/worker.pb.h"
#include "server/api/context.h"
#include "server/api/open_blob.h"

namespace haq::server::api {

// An artifact on its way in; removed again unless Workers::Finish took it. Not thread-safe.
class ArtifactUpload {
 public:
  ArtifactUpload(jobs::Lease lease, std::string sha256, int64_t size_bytes,
                 std::filesystem::path path, store::Descriptor file);
  ~ArtifactUpload();

  // Appends. kInvalidArgument when there are more bytes than were declared.
  Status Write(std::span<const uint8_t> bytes);

 private:
  friend class Workers;

  const jobs::Lease lease_;
  const std::string sha256_;
  const int64_t size_bytes_;
  const std::filesystem::path path_;
  store::Descriptor file_;
  int64_t written_bytes_ = 0;
  Sha256 hash_;
};

// Thread-safe. Errors are as proto/haq/internal/v1/worker.proto says.
class Workers {
 public:
  Workers(Context& context, std::filesystem::path uploads, int64_t lease_ms)
      : context_(context), uploads_(std::move(uploads)), lease_ms_(lease_ms) {}

  // Without a lease in the answer: there is no job. Does not wait. `local`: the worker is a process
  // that dies with this server.
  Result<haq::internal::v1::LeaseJobResponse> Lease(
      const haq::internal::v1::LeaseJobRequest& request, bool local);
  // The answer never reached the worker.
  void GiveBack(const haq::internal::v1::LeaseJobResponse& response);

  Result<OpenBlob> ReadBlob(const haq::internal::v1::ReadBlobRequest& request);
  Result<haq::internal::v1::ReportEventsResponse> ReportEvents(
      const haq::internal::v1::ReportEventsRequest& request);
  Status SaveCheckpoint(const haq::internal::v1::SaveCheckpointRequest& request);

  // From the first message; its data is not written.
  Result<std::unique_ptr<ArtifactUpload>> StartArtifact(
      const haq::internal::v1::WriteArtifactRequest& first);
  // Checks size, digest and content, and keeps it for CompleteJob.
  Status Finish(ArtifactUpload& upload);

  Result<haq::internal::v1::CompleteJobResponse> Complete(
      const haq::internal::v1::CompleteJobRequest& request);
  Status Fail(const haq::internal::v1::FailJobRequest& request);

 private:
  Status CheckArtifact(const jobs::Lease& lease, const std::filesystem::path& path);

  Context& context_;
  const std::filesystem::path uploads_;
  const int64_t lease_ms_;
  std::atomic<int64_t> counter_{0};
};

}  // namespace haq::server::api
