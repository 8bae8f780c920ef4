#include "server/api/calibration_jobs.h"

#include <charconv>

#include "core/quant/corrections.h"
#include "core/quant/methods.h"
#include "core/quant/params.h"
#include "core/quant/wide.h"
#include "server/api/convert.h"
#include "server/api/gate.h"
#include "server/api/names.h"
#include "server/api/pages.h"
#include "server/api/requests.h"

namespace haq::server::api {
namespace {

Status CheckLimit(const std::string& field, int64_t value) {
  if (value >= 0) return {};
  return InvalidField(field, "must not be negative (0 is all), found {}", value);
}

// Fills in the defaults.
Status CheckSpec(haq::v1::CalibrationSpec& spec) {
  if (spec.method().empty()) spec.set_method(std::string(quant::kDefaultMethod));
  if (spec.scheme().empty()) spec.set_scheme("hybrid");
  if (spec.weights().empty()) spec.set_weights("per_channel");
  if (spec.preset().empty()) spec.set_preset(std::string(quant::kDefaultPreset));
  HAQ_RETURN_IF_ERROR(quant::CheckMethod(spec.method(), "spec.method"));
  HAQ_RETURN_IF_ERROR(quant::ParseSchemePolicy(spec.scheme(), "spec.scheme").status());
  HAQ_RETURN_IF_ERROR(quant::ParseWeightGranularity(spec.weights(), "spec.weights").status());
  HAQ_RETURN_IF_ERROR(quant::CheckPreset(spec.preset(), "spec.preset"));
  HAQ_RETURN_IF_ERROR(quant::CheckWide(
      {spec.wide_count(), {spec.wide_tensors().begin(), spec.wide_tensors().end()}}, "spec."));
  HAQ_RETURN_IF_ERROR(CheckGate(spec));
  HAQ_RETURN_IF_ERROR(CheckLimit("spec.limit_calibration", spec.limit_calibration()));
  return CheckLimit("spec.limit_evaluation", spec.limit_evaluation());
}

Status MissingResource(const std::string& field, const std::string& name) {
  Status status = NotFound("{}: {} does not exist", field, name);
  status.AddField(field, "does not exist");
  return status;
}

Status CheckLabels(const store::ModelRecord& model, const store::DatasetRecord& evaluation) {
  constexpr char kField[] = "spec.evaluation_dataset";
  if (!evaluation.labelled) {
    return InvalidField(kField, "{} has images without label, so that accuracy cannot be measured",
                        DatasetName(evaluation.id));
  }
  const auto classes = static_cast<int64_t>(model.class_names.size());
  if (classes > 0 && evaluation.max_label >= classes) {
    return InvalidField(kField,
                        "{} has the label {}, but {} names {} classes: labels must be 0 to {}",
                        DatasetName(evaluation.id), evaluation.max_label, ModelName(model.id),
                        classes, classes - 1);
  }
  return {};
}

// What the job refers to, as it is in this transaction.
Status CheckReferences(store::Transaction& transaction, const store::JobRecord& job) {
  const auto model = transaction.FindModel(job.model_id);
  if (!model) return MissingResource("spec.model", ModelName(job.model_id));
  if (!transaction.FindDataset(job.calibration_dataset)) {
    return MissingResource("spec.calibration_dataset", DatasetName(job.calibration_dataset));
  }
  const auto evaluation = transaction.FindDataset(job.evaluation_dataset);
  if (!evaluation) {
    return MissingResource("spec.evaluation_dataset", DatasetName(job.evaluation_dataset));
  }
  return CheckLabels(*model, *evaluation);
}

Result<store::JobRecord> MakeRecord(haq::v1::CalibrationSpec spec) {
  store::JobRecord job;
  HAQ_ASSIGN_OR_RETURN(job.model_id, ParseModelName("spec.model", spec.model()));
  HAQ_ASSIGN_OR_RETURN(job.calibration_dataset,
                       ParseDatasetName("spec.calibration_dataset", spec.calibration_dataset()));
  HAQ_ASSIGN_OR_RETURN(job.evaluation_dataset,
                       ParseDatasetName("spec.evaluation_dataset", spec.evaluation_dataset()));
  HAQ_RETURN_IF_ERROR(CheckSpec(spec));
  job.spec = spec.SerializeAsString();
  return job;
}

std::string ListName(haq::v1::JobState state) {
  return fmt::format("jobs state {}", static_cast<int>(state));
}

Result<int64_t> ReadJobToken(const haq::v1::ListJobsRequest& request) {
  const std::string list = ListName(request.state());
  HAQ_ASSIGN_OR_RETURN(const std::string key, ReadPageToken(list, request.page_token()));
  int64_t before = 0;
  if (key.empty()) return before;
  const auto parsed = std::from_chars(key.data(), key.data() + key.size(), before);
  if (parsed.ec == std::errc() && parsed.ptr == key.data() + key.size()) return before;
  return InvalidField("page_token", "was not returned by this list");
}

}  // namespace

Result<haq::v1::Job> CalibrationJobs::Create(const haq::v1::CreateJobRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const RequestKey key, MakeRequestKey(request, context_.limits));
  HAQ_ASSIGN_OR_RETURN(store::JobRecord record, MakeRecord(request.spec()));
  std::optional<std::string> repeated;
  HAQ_RETURN_IF_ERROR(context_.queue.Transact(
      [&](store::Transaction& transaction, jobs::Effects& effects) -> Status {
        HAQ_ASSIGN_OR_RETURN(repeated, FindRepeated(transaction, key));
        if (repeated) return {};
        HAQ_RETURN_IF_ERROR(CheckReferences(transaction, record));
        HAQ_ASSIGN_OR_RETURN(record, context_.queue.Submit(transaction, effects, record));
        Remember(transaction, key, jobs::JobName(record.number), record.create_time_us);
        return {};
      }));
  if (!repeated) return ToProto(record, "");
  haq::v1::GetJobRequest get;
  get.set_name(*repeated);
  return Get(get);
}

Result<haq::v1::Job> CalibrationJobs::Get(const haq::v1::GetJobRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const int64_t number, ParseJobName("name", request.name()));
  haq::v1::Job message;
  HAQ_RETURN_IF_ERROR(context_.metadata.Read([&](store::Transaction& transaction) -> Status {
    const auto job = transaction.FindJob(number);
    if (!job) return NotFound("{} does not exist", request.name());
    message = ToProto(*job, transaction.FindReport(number));
    return {};
  }));
  return message;
}

Result<haq::v1::ListJobsResponse> CalibrationJobs::List(const haq::v1::ListJobsRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const int64_t size, PageSize(request.page_size(), context_.limits));
  HAQ_ASSIGN_OR_RETURN(const int64_t before, ReadJobToken(request));
  if (!haq::v1::JobState_IsValid(request.state())) {
    return InvalidField("state", "unknown: {}", static_cast<int>(request.state()));
  }
  haq::v1::ListJobsResponse response;
  HAQ_RETURN_IF_ERROR(context_.metadata.Read([&](store::Transaction& transaction) -> Status {
    const auto state = static_cast<jobs::JobState>(request.state());
    const auto records = transaction.ListJobs(state, before, size + 1);
    for (size_t i = 0; i < records.size() && static_cast<int64_t>(i) < size; ++i) {
      *response.add_jobs() = ToProto(records[i], "");
    }
    if (static_cast<int64_t>(records.size()) > size) {
      response.set_next_page_token(
          MakePageToken(ListName(request.state()), std::to_string(records[size - 1].number)));
    }
    return {};
  }));
  return response;
}

Result<haq::v1::Job> CalibrationJobs::Cancel(const haq::v1::CancelJobRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const int64_t number, ParseJobName("name", request.name()));
  HAQ_ASSIGN_OR_RETURN(const store::JobRecord job, context_.queue.Cancel(number));
  return ToProto(job, "");
}

Result<int64_t> CalibrationJobs::PrepareWatch(haq::v1::WatchJobRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const int64_t number, ParseJobName("name", request.name()));
  if (request.from_sequence() < 0) {
    return InvalidField("from_sequence", "must not be negative, found {}", request.from_sequence());
  }
  if (request.from_sequence() == 0) request.set_from_sequence(1);
  HAQ_RETURN_IF_ERROR(context_.metadata.Read([&](store::Transaction& transaction) -> Status {
    if (!transaction.FindJob(number)) return NotFound("{} does not exist", request.name());
    return {};
  }));
  return number;
}

}  // namespace haq::server::api
