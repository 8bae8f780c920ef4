#include "server/api/convert.h"

#include <google/protobuf/util/time_util.h>

#include "server/api/names.h"
#include "server/jobs/transitions.h"

namespace haq::server::api {
namespace {

void SetTime(int64_t time_us, google::protobuf::Timestamp* timestamp) {
  *timestamp = google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(time_us);
}

}  // namespace

haq::v1::Model ToProto(const store::ModelRecord& model) {
  haq::v1::Model message;
  message.set_name(ModelName(model.id));
  message.set_format(model.format);
  message.set_sha256(model.sha256);
  message.set_size_bytes(model.size_bytes);
  for (const int64_t dimension : model.input_shape) message.add_input_shape(dimension);
  message.set_preprocess_json(model.preprocess_json);
  SetTime(model.create_time_us, message.mutable_create_time());
  if (model.served_version > 0) {
    message.set_served_version(VersionName(model.id, model.served_version));
  }
  if (model.previous_version > 0) {
    message.set_previous_version(VersionName(model.id, model.previous_version));
  }
  for (const std::string& name : model.class_names) message.add_class_names(name);
  return message;
}

haq::v1::Dataset ToProto(const store::DatasetRecord& dataset) {
  haq::v1::Dataset message;
  message.set_name(DatasetName(dataset.id));
  for (const store::ShardRecord& shard : dataset.shards) {
    haq::v1::Shard& added = *message.add_shards();
    added.set_sha256(shard.sha256);
    added.set_size_bytes(shard.size_bytes);
    added.set_images(shard.images);
  }
  message.set_images(dataset.images);
  message.set_size_bytes(dataset.size_bytes);
  message.set_labelled(dataset.labelled);
  if (dataset.labelled) message.set_max_label(dataset.max_label);
  for (const std::string& name : dataset.class_names) message.add_class_names(name);
  SetTime(dataset.create_time_us, message.mutable_create_time());
  return message;
}

haq::v1::Artifact ToProto(const store::ArtifactRecord& artifact, const std::string& report_json) {
  haq::v1::Artifact message;
  message.set_name(VersionName(artifact.model_id, artifact.version));
  message.set_job(jobs::JobName(artifact.job));
  message.set_sha256(artifact.sha256);
  message.set_size_bytes(artifact.size_bytes);
  SetTime(artifact.create_time_us, message.mutable_create_time());
  message.set_report_json(report_json);
  return message;
}

haq::v1::Job ToProto(const store::JobRecord& job, const std::string& report_json) {
  haq::v1::Job message;
  message.set_name(jobs::JobName(job.number));
  message.mutable_spec()->ParseFromString(job.spec);
  message.set_state(static_cast<haq::v1::JobState>(job.state));
  message.set_error(job.error);
  message.set_error_code(job.error_code);
  message.set_attempt(static_cast<int32_t>(job.attempt));
  SetTime(job.create_time_us, message.mutable_create_time());
  if (job.start_time_us != 0) SetTime(job.start_time_us, message.mutable_start_time());
  if (job.end_time_us != 0) SetTime(job.end_time_us, message.mutable_end_time());
  if (job.artifact_version != 0) {
    message.set_artifact(VersionName(job.model_id, job.artifact_version));
  }
  message.set_report_json(report_json);
  if (!job.progress.empty()) message.mutable_progress()->ParseFromString(job.progress);
  if (!job.accuracy.empty()) message.mutable_accuracy()->ParseFromString(job.accuracy);
  message.set_last_sequence(job.last_sequence);
  message.set_cancel_requested(job.cancel_requested);
  return message;
}

}  // namespace haq::server::api
