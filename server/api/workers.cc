#include "server/api/workers.h"

#include <fcntl.h>
#include <unistd.h>

#include "core/artifact/file.h"
#include "core/base/file.h"
#include "server/api/figures.h"
#include "server/api/gate.h"
#include "server/api/names.h"

namespace haq::server::api {
namespace {

namespace pb = haq::internal::v1;

constexpr size_t kMaxWorkerNameBytes = 128;
constexpr size_t kMaxErrorBytes = 64 << 10;

Result<jobs::Lease> ReadLease(const pb::Lease& lease) {
  HAQ_ASSIGN_OR_RETURN(const int64_t number, ParseJobName("lease.job", lease.job()));
  return jobs::Lease{number, lease.token()};
}

void AddShards(const std::vector<store::ShardRecord>& shards,
               google::protobuf::RepeatedPtrField<pb::BlobRef>* refs) {
  for (const store::ShardRecord& shard : shards) {
    pb::BlobRef& ref = *refs->Add();
    ref.set_sha256(shard.sha256);
    ref.set_size_bytes(shard.size_bytes);
  }
}

pb::LeaseJobResponse ToProto(jobs::LeasedJob leased, int64_t lease_ms) {
  pb::LeaseJobResponse response;
  response.mutable_lease()->set_job(jobs::JobName(leased.lease.job));
  response.mutable_lease()->set_token(leased.lease.token);
  response.set_lease_ms(lease_ms);
  response.set_attempt(static_cast<int32_t>(leased.job.attempt));
  response.mutable_spec()->ParseFromString(leased.job.spec);
  response.mutable_model()->set_sha256(leased.model.sha256);
  response.mutable_model()->set_size_bytes(leased.model.size_bytes);
  response.set_model_format(leased.model.format);
  for (const int64_t dimension : leased.model.input_shape) response.add_input_shape(dimension);
  response.set_preprocess_json(leased.model.preprocess_json);
  for (const std::string& name : leased.model.class_names) response.add_class_names(name);
  AddShards(leased.calibration_shards, response.mutable_calibration_shards());
  AddShards(leased.evaluation_shards, response.mutable_evaluation_shards());
  response.set_checkpoint(std::move(leased.checkpoint));
  return response;
}

StatusCode CodeFromName(const std::string& name) {
  for (int i = 1; i <= static_cast<int>(StatusCode::kInternal); ++i) {
    const auto code = static_cast<StatusCode>(i);
    if (StatusCodeName(code) == name) return code;
  }
  return StatusCode::kInternal;
}

}  // namespace

ArtifactUpload::ArtifactUpload(jobs::Lease lease, std::string sha256, int64_t size_bytes,
                               std::filesystem::path path, store::Descriptor file)
    : lease_(std::move(lease)),
      sha256_(std::move(sha256)),
      size_bytes_(size_bytes),
      path_(std::move(path)),
      file_(std::move(file)) {}

// After Finish the file has moved, and there is nothing to remove.
ArtifactUpload::~ArtifactUpload() { ::unlink(path_.c_str()); }

Status ArtifactUpload::Write(std::span<const uint8_t> bytes) {
  if (static_cast<int64_t>(bytes.size()) > size_bytes_ - written_bytes_) {
    return InvalidField("data", "has more than the {} bytes that were declared", size_bytes_);
  }
  HAQ_RETURN_IF_ERROR(store::WriteAt(file_, path_, written_bytes_, bytes));
  hash_.Update(bytes);
  written_bytes_ += static_cast<int64_t>(bytes.size());
  return {};
}

Result<pb::LeaseJobResponse> Workers::Lease(const pb::LeaseJobRequest& request, bool local) {
  if (request.worker().empty() || request.worker().size() > kMaxWorkerNameBytes) {
    return InvalidField("worker", "must have 1 to {} bytes, found {}", kMaxWorkerNameBytes,
                        request.worker().size());
  }
  if (request.wait_ms() < 0) return InvalidField("wait_ms", "must not be negative");
  HAQ_ASSIGN_OR_RETURN(auto leased, context_.queue.Acquire(request.worker(), local));
  if (!leased) return pb::LeaseJobResponse();
  return ToProto(*std::move(leased), lease_ms_);
}

void Workers::GiveBack(const pb::LeaseJobResponse& response) {
  const auto lease = ReadLease(response.lease());
  // When this fails too the lease expires by itself.
  if (lease.ok()) static_cast<void>(context_.queue.GiveBack(*lease));
}

Result<OpenBlob> Workers::ReadBlob(const pb::ReadBlobRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const jobs::Lease lease, ReadLease(request.lease()));
  HAQ_RETURN_IF_ERROR(CheckBlobName(request.sha256()));
  HAQ_RETURN_IF_ERROR(context_.queue.CheckMayRead(lease, request.sha256()));
  return OpenBlob::Open(context_.blobs, request.sha256(), request.offset());
}

Result<pb::ReportEventsResponse> Workers::ReportEvents(const pb::ReportEventsRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const jobs::Lease lease, ReadLease(request.lease()));
  HAQ_ASSIGN_OR_RETURN(
      const bool cancel_requested,
      context_.queue.Report(lease, {request.events().begin(), request.events().end()}));
  pb::ReportEventsResponse response;
  response.set_cancel_requested(cancel_requested);
  response.set_lease_ms(lease_ms_);
  return response;
}

Status Workers::SaveCheckpoint(const pb::SaveCheckpointRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const jobs::Lease lease, ReadLease(request.lease()));
  const std::string& bytes = request.checkpoint();
  return context_.queue.SaveCheckpoint(
      lease, {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

Result<std::unique_ptr<ArtifactUpload>> Workers::StartArtifact(
    const pb::WriteArtifactRequest& first) {
  HAQ_ASSIGN_OR_RETURN(jobs::Lease lease, ReadLease(first.lease()));
  if (!IsSha256Hex(first.sha256())) {
    return InvalidField("sha256", "must be 64 lower-case hexadecimal digits");
  }
  if (first.size_bytes() < 1) return InvalidField("size_bytes", "must be at least 1");
  if (first.size_bytes() > context_.limits.max_artifact_bytes) {
    return ResourceExhausted("size_bytes: {} is over the limit of {}", first.size_bytes(),
                             context_.limits.max_artifact_bytes);
  }
  HAQ_RETURN_IF_ERROR(context_.queue.Extend(lease).status());
  const std::filesystem::path path =
      uploads_ / fmt::format("artifact-{}-{}", lease.job, counter_.fetch_add(1));
  HAQ_ASSIGN_OR_RETURN(store::Descriptor file,
                       store::OpenFile(path, O_RDWR | O_CREAT | O_TRUNC, 0644));
  return std::make_unique<ArtifactUpload>(std::move(lease), first.sha256(), first.size_bytes(),
                                          path, std::move(file));
}

Status Workers::CheckArtifact(const jobs::Lease& lease, const std::filesystem::path& path) {
  HAQ_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  const auto model = artifact::Parse(file.bytes());
  if (!model.ok()) return model.status().WithContext("artifact");
  HAQ_ASSIGN_OR_RETURN(const store::JobRecord job, context_.queue.Extend(lease));
  return context_.metadata.Read([&](store::Transaction& transaction) -> Status {
    const auto source = transaction.FindModel(job.model_id);
    if (!source) return NotFound("{} does not exist", ModelName(job.model_id));
    if (source->input_shape == model->input_shape) return {};
    return InvalidField("artifact", "its input shape is {}, that of {} is {}",
                        fmt::join(model->input_shape, "x"), ModelName(job.model_id),
                        fmt::join(source->input_shape, "x"));
  });
}

Status Workers::Finish(ArtifactUpload& upload) {
  if (upload.written_bytes_ != upload.size_bytes_) {
    return InvalidField("size_bytes", "{} bytes came, {} were declared", upload.written_bytes_,
                        upload.size_bytes_);
  }
  const std::string digest = ToHex(upload.hash_.Finish());
  if (digest != upload.sha256_) {
    return DataLoss("sha256: the bytes have the digest {}, not {}", digest, upload.sha256_);
  }
  HAQ_RETURN_IF_ERROR(CheckArtifact(upload.lease_, upload.path_));
  HAQ_RETURN_IF_ERROR(context_.blobs.Adopt(upload.path_, upload.sha256_));
  return context_.queue.HandIn(upload.lease_, upload.sha256_, upload.size_bytes_);
}

Result<pb::CompleteJobResponse> Workers::Complete(const pb::CompleteJobRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const jobs::Lease lease, ReadLease(request.lease()));
  HAQ_ASSIGN_OR_RETURN(const store::JobRecord job, context_.queue.Extend(lease));
  haq::v1::CalibrationSpec spec;
  spec.ParseFromString(job.spec);
  const Verdict verdict = Judge(spec, FiguresOf(request.report_json(), 0));
  const std::lock_guard lock(context_.versions_mutex);
  HAQ_ASSIGN_OR_RETURN(const store::ArtifactRecord artifact,
                       context_.queue.Complete(lease, request.artifact_sha256(),
                                               WithVerdict(request.report_json(), verdict),
                                               verdict.passed, verdict.reason));
  if (context_.artifact_listener && verdict.passed) {
    context_.artifact_listener->OnVersionRegistered(artifact.model_id, artifact.version,
                                                    context_.blobs.PathOf(artifact.sha256));
    context_.artifact_listener->OnFigures(artifact.model_id,
                                          FiguresOf(request.report_json(), artifact.version));
  }
  pb::CompleteJobResponse response;
  response.set_artifact(VersionName(artifact.model_id, artifact.version));
  return response;
}

Status Workers::Fail(const pb::FailJobRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const jobs::Lease lease, ReadLease(request.lease()));
  std::string message = request.message().substr(0, kMaxErrorBytes);
  if (message.empty()) message = "the worker gave no reason";
  return context_.queue.Fail(lease, Status(CodeFromName(request.code()), std::move(message)),
                             request.retry());
}

}  // namespace haq::server::api
