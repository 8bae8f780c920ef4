#include "server/oip/describe.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/base/version.h"
#include "server/serving/request.h"

namespace haq::server::oip {
namespace {

using serving::ServedModel;

constexpr char kPlatform[] = "haq_int8";

void AddTensor(std::string_view name, const std::vector<int64_t>& sample_shape,
               inference::ModelMetadataResponse::TensorMetadata& tensor) {
  tensor.set_name(std::string(name));
  tensor.set_datatype(std::string(serving::kFp32));
  tensor.add_shape(-1);
  tensor.mutable_shape()->Add(sample_shape.begin(), sample_shape.end());
}

std::string QuantizationJson(const ServedModel::Quantization& quantization) {
  return nlohmann::ordered_json{{"scale", quantization.scale},
                                {"zero_point", quantization.zero_point}}
      .dump();
}

void SetTimes(const serving::Statistics::Times& times, inference::StatisticDuration& to) {
  to.set_count(times.count);
  to.set_ns(static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(times.sum).count()));
}

void AddStatistics(const ServedModel& model, inference::ModelStatisticsResponse& response) {
  const serving::Statistics::Snapshot now = model.statistics().Get();
  auto& to = *response.add_model_stats();
  to.set_name(model.name());
  to.set_version(std::to_string(model.version()));
  to.set_last_inference(static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now.last_inference.time_since_epoch())
          .count()));
  to.set_inference_count(now.samples);
  to.set_execution_count(now.executions);
  auto& stats = *to.mutable_inference_stats();
  SetTimes(now.success, *stats.mutable_success());
  SetTimes(now.failure, *stats.mutable_fail());
  SetTimes(now.queue, *stats.mutable_queue());
  SetTimes(now.input, *stats.mutable_compute_input());
  SetTimes(now.compute, *stats.mutable_compute_infer());
  SetTimes(now.output, *stats.mutable_compute_output());
  SetTimes({}, *stats.mutable_cache_hit());
  SetTimes({}, *stats.mutable_cache_miss());
  for (const auto& [size, batch] : now.batches) {
    auto& batches = *to.add_batch_stats();
    batches.set_batch_size(static_cast<uint64_t>(size));
    SetTimes(batch.input, *batches.mutable_compute_input());
    SetTimes(batch.compute, *batches.mutable_compute_infer());
    SetTimes(batch.output, *batches.mutable_compute_output());
  }
}

std::string_view StateOf(const serving::ModelStatus& status) {
  using State = serving::ModelStatus::State;
  if (status.ready_version != 0) return "READY";
  switch (status.state) {
    case State::kLoading:
      return "LOADING";
    case State::kReady:
      return "READY";
    case State::kFailed:
    case State::kUnloaded:
      return "UNAVAILABLE";
  }
  return "UNKNOWN";
}

}  // namespace

inference::ServerMetadataResponse ServerMetadata() {
  inference::ServerMetadataResponse response;
  response.set_name("haq");
  response.set_version(std::string(kVersion));
  for (const char* extension :
       {"classification", "model_repository", "schedule_policy", "model_configuration",
        "binary_tensor_data", "parameters", "statistics"}) {
    response.add_extensions(extension);
  }
  return response;
}

inference::ModelMetadataResponse ModelMetadata(const ServedModel& model,
                                               const serving::Settings& settings) {
  inference::ModelMetadataResponse response;
  response.set_name(model.name());
  response.add_versions(std::to_string(model.version()));
  response.set_platform(kPlatform);
  AddTensor(serving::kInputName, model.input_shape(), *response.add_inputs());
  AddTensor(serving::kOutputName, model.output_shape(), *response.add_outputs());
  auto& properties = *response.mutable_properties();
  properties["preprocess"] = model.preprocess().ToJson();
  properties["class_names"] = std::to_string(model.model().class_names.size());
  properties["artifact_sha256"] = model.sha256();
  properties["kernels"] = std::string(model.loaded().kernel_path());
  properties["max_batch"] = std::to_string(settings.max_batch);
  properties["input_quantization"] = QuantizationJson(model.input_quantization());
  properties["output_quantization"] = QuantizationJson(model.output_quantization());
  return response;
}

inference::ModelConfig ModelConfig(const ServedModel& model, const serving::Settings& settings) {
  inference::ModelConfig config;
  config.set_name(model.name());
  config.set_platform(kPlatform);
  config.set_backend("haq");
  config.mutable_version_policy()->mutable_specific()->add_versions(model.version());
  config.set_max_batch_size(static_cast<int32_t>(settings.max_batch));
  auto& input = *config.add_input();
  input.set_name(std::string(serving::kInputName));
  input.set_data_type(inference::TYPE_FP32);
  input.set_format(inference::ModelInput::FORMAT_NCHW);
  input.mutable_dims()->Add(model.input_shape().begin(), model.input_shape().end());
  auto& output = *config.add_output();
  output.set_name(std::string(serving::kOutputName));
  output.set_data_type(inference::TYPE_FP32);
  output.mutable_dims()->Add(model.output_shape().begin(), model.output_shape().end());
  auto& instances = *config.add_instance_group();
  instances.set_name("cpu");
  instances.set_kind(inference::ModelInstanceGroup::KIND_CPU);
  instances.set_count(settings.sessions_per_model);
  auto& batching = *config.mutable_dynamic_batching();
  batching.add_preferred_batch_size(static_cast<int32_t>(settings.dynamic_batch));
  batching.set_max_queue_delay_microseconds(static_cast<uint64_t>(settings.max_queue_delay_us));
  batching.set_priority_levels(static_cast<uint64_t>(settings.priority_levels));
  batching.set_default_priority_level(static_cast<uint64_t>(settings.default_priority));
  auto& queue = *batching.mutable_default_queue_policy();
  queue.set_allow_timeout_override(true);
  queue.set_max_queue_size(static_cast<uint32_t>(settings.max_queue));
  config.mutable_model_transaction_policy()->set_decoupled(false);
  return config;
}

Result<inference::ModelStatisticsResponse> ModelStatistics(const serving::Repository& repository,
                                                           const std::string& name,
                                                           const std::string& version) {
  inference::ModelStatisticsResponse response;
  if (!name.empty()) {
    HAQ_ASSIGN_OR_RETURN(const auto model, repository.Acquire(name, version));
    AddStatistics(*model, response);
    return response;
  }
  for (const serving::ModelStatus& status : repository.List()) {
    const auto model = repository.Acquire(status.name, "");
    if (model.ok()) AddStatistics(**model, response);
  }
  return response;
}

inference::RepositoryIndexResponse RepositoryIndex(const serving::Repository& repository,
                                                   bool only_ready) {
  inference::RepositoryIndexResponse response;
  for (const serving::ModelStatus& status : repository.List()) {
    const std::string_view state = StateOf(status);
    if (only_ready && state != "READY") continue;
    auto& model = *response.add_models();
    model.set_name(status.name);
    model.set_version(
        std::to_string(status.ready_version != 0 ? status.ready_version : status.version));
    model.set_state(std::string(state));
    model.set_reason(status.reason);
  }
  return response;
}

}  // namespace haq::server::oip
