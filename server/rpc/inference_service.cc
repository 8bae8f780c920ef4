#include "server/rpc/inference_service.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <string>
#include <utility>

#include "core/base/version.h"
#include "server/rpc/status.h"

namespace haq::server::rpc {
namespace {

using Clock = std::chrono::steady_clock;

constexpr char kModelInfer[] = "/inference.GRPCInferenceService/ModelInfer";

// Parameters of Triton's extensions that ask for another kind of answer than the one we give.
Status CheckParameters(const inference::ModelInferRequest& request) {
  for (int i = 0; i < request.inputs_size(); ++i) {
    if (request.inputs(i).parameters().contains("shared_memory_region")) {
      return InvalidField(fmt::format("inputs[{}].parameters.shared_memory_region", i),
                          "shared memory is not supported");
    }
  }
  for (int i = 0; i < request.outputs_size(); ++i) {
    for (const char* name : {"classification", "shared_memory_region"}) {
      if (request.outputs(i).parameters().contains(name)) {
        return InvalidField(fmt::format("outputs[{}].parameters.{}", i, name),
                            "is not supported; outputs are FP32 tensors");
      }
    }
  }
  return {};
}

// Only the field of the datatype may be set.
Status CheckTypedContents(const inference::ModelInferRequest::InferInputTensor& input,
                          const std::string& field) {
  const auto& contents = input.contents();
  const std::pair<const char*, int> sizes[] = {
      {"bool_contents", contents.bool_contents_size()},
      {"int_contents", contents.int_contents_size()},
      {"int64_contents", contents.int64_contents_size()},
      {"uint_contents", contents.uint_contents_size()},
      {"uint64_contents", contents.uint64_contents_size()},
      {"fp32_contents", contents.fp32_contents_size()},
      {"fp64_contents", contents.fp64_contents_size()},
      {"bytes_contents", contents.bytes_contents_size()},
  };
  const std::string_view wanted =
      input.datatype() == serving::kBytes ? "bytes_contents" : "fp32_contents";
  for (const auto& [name, size] : sizes) {
    if (size > 0 && name != wanted) {
      return InvalidField(fmt::format("{}.contents.{}", field, name),
                          "must be empty; datatype {} takes {}", input.datatype(), wanted);
    }
  }
  return {};
}

serving::InputTensor TypedInput(const inference::ModelInferRequest::InferInputTensor& input) {
  serving::InputTensor tensor{
      input.name(), input.datatype(), {input.shape().begin(), input.shape().end()}, {}};
  if (input.datatype() == serving::kBytes) {
    const auto& elements = input.contents().bytes_contents();
    tensor.content = serving::BytesContent(elements.begin(), elements.end());
  } else {
    const auto& values = input.contents().fp32_contents();
    tensor.content = serving::FloatContent(values.data(), static_cast<size_t>(values.size()));
  }
  return tensor;
}

serving::InputTensor RawInput(const inference::ModelInferRequest::InferInputTensor& input,
                              const std::string& bytes) {
  return {input.name(),
          input.datatype(),
          {input.shape().begin(), input.shape().end()},
          serving::RawContent{{reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}}};
}

Status Translate(const inference::ModelInferRequest& from, serving::Request& to) {
  HAQ_RETURN_IF_ERROR(CheckParameters(from));
  to.model = from.model_name();
  to.version = from.model_version();
  for (const auto& output : from.outputs()) to.outputs.push_back(output.name());
  const int raw = from.raw_input_contents_size();
  if (raw != 0 && raw != from.inputs_size()) {
    return InvalidField("raw_input_contents", "has {} entries for {} inputs; one for each, or none",
                        raw, from.inputs_size());
  }
  for (int i = 0; i < from.inputs_size(); ++i) {
    const auto& input = from.inputs(i);
    const std::string field = fmt::format("inputs[{}]", i);
    if (raw == 0) {
      // A datatype that is not supported is the better message, and serving has it.
      if (input.datatype() == serving::kFp32 || input.datatype() == serving::kBytes) {
        HAQ_RETURN_IF_ERROR(CheckTypedContents(input, field));
      }
      to.inputs.push_back(TypedInput(input));
      continue;
    }
    if (input.has_contents()) {
      return InvalidField(field + ".contents", "must not be set beside raw_input_contents");
    }
    to.inputs.push_back(RawInput(input, from.raw_input_contents(i)));
  }
  return {};
}

void Translate(serving::Response from, const inference::ModelInferRequest& request,
               inference::ModelInferResponse& to) {
  to.set_model_name(from.model);
  to.set_model_version(from.version);
  to.set_id(request.id());
  const bool raw = request.raw_input_contents_size() > 0;
  for (const serving::OutputTensor& output : from.outputs) {
    auto& tensor = *to.add_outputs();
    tensor.set_name(output.name);
    tensor.set_datatype(output.datatype);
    tensor.mutable_shape()->Add(output.shape.begin(), output.shape.end());
    if (raw) {
      to.add_raw_output_contents(reinterpret_cast<const char*>(output.values.data()),
                                 output.values.size() * sizeof(float));
    } else {
      tensor.mutable_contents()->mutable_fp32_contents()->Add(output.values.begin(),
                                                              output.values.end());
    }
  }
}

// Triton's parameters: `priority`, and `timeout` in microseconds.
Result<int64_t> IntegerParameter(const inference::ModelInferRequest& request, const char* name,
                                 int64_t absent) {
  const auto found = request.parameters().find(name);
  if (found == request.parameters().end()) return absent;
  const inference::InferParameter& parameter = found->second;
  if (parameter.has_int64_param() && parameter.int64_param() >= 0) return parameter.int64_param();
  if (parameter.has_uint64_param() &&
      parameter.uint64_param() <= std::numeric_limits<int64_t>::max()) {
    return static_cast<int64_t>(parameter.uint64_param());
  }
  return InvalidField(fmt::format("parameters.{}", name),
                      "must be an integer that is not negative");
}

// The earlier of what the call and the parameter `timeout` say.
Status SetUrgency(const inference::ModelInferRequest& from,
                  std::chrono::system_clock::time_point call_deadline, serving::Request& to) {
  HAQ_ASSIGN_OR_RETURN(const int64_t priority, IntegerParameter(from, "priority", 0));
  HAQ_ASSIGN_OR_RETURN(const int64_t timeout_us, IntegerParameter(from, "timeout", 0));
  to.priority = static_cast<int>(std::min<int64_t>(priority, std::numeric_limits<int>::max()));
  to.deadline = serving::DeadlineAfter(timeout_us);
  const auto left = std::chrono::duration_cast<std::chrono::microseconds>(
      call_deadline - std::chrono::system_clock::now());
  if (left < serving::kLongestTimeout) to.deadline = std::min(to.deadline, Clock::now() + left);
  return {};
}

// One ModelInfer call. gRPC keeps request and response until OnDone, which comes after Finish, so
// the engine may use the request until it called back.
class InferCall : public grpc::ServerUnaryReactor {
 public:
  InferCall(const inference::ModelInferRequest& request, inference::ModelInferResponse& response,
            serving::Engine& engine, metrics::Metrics& metrics)
      : request_(request), response_(response), engine_(engine), metrics_(metrics) {}

  void Start(std::chrono::system_clock::time_point deadline) {
    Status status = Translate(request_, to_serve_);
    if (status.ok()) status = SetUrgency(request_, deadline, to_serve_);
    if (!status.ok()) return End(status, 0);
    // gRPC calls OnCancel and OnDone only after the handler that calls this has returned.
    ticket_ = engine_.Infer(to_serve_, [this](Result<serving::Response> result) {
      if (!result.ok()) return End(result.status(), 0);
      const int64_t images = result->images;
      Translate(*std::move(result), request_, response_);
      End({}, images);
    });
  }

  void OnCancel() override {
    to_serve_.cancellation.Cancel();
    engine_.Cancel(ticket_);
  }
  void OnDone() override { delete this; }

 private:
  void End(const Status& status, int64_t images) {
    metrics_.CountInference(request_.model_name(), status.code(), images,
                            std::chrono::duration<double>(Clock::now() - start_).count());
    metrics_.CountRpc(kModelInfer, StatusCodeName(status.code()));
    Finish(ToGrpc(status));
  }

  const inference::ModelInferRequest& request_;
  inference::ModelInferResponse& response_;
  serving::Engine& engine_;
  metrics::Metrics& metrics_;
  const Clock::time_point start_ = Clock::now();
  serving::Request to_serve_;
  serving::Engine::Ticket ticket_ = 0;
};

void AddTensor(std::string_view name, const std::vector<int64_t>& sample_shape,
               inference::ModelMetadataResponse::TensorMetadata& tensor) {
  tensor.set_name(std::string(name));
  tensor.set_datatype(std::string(serving::kFp32));
  tensor.add_shape(-1);
  tensor.mutable_shape()->Add(sample_shape.begin(), sample_shape.end());
}

void Describe(const serving::ServedModel& model, const serving::Settings& settings,
              inference::ModelMetadataResponse& response) {
  response.set_name(model.name());
  response.add_versions(std::to_string(model.version()));
  response.set_platform("haq_int8");
  AddTensor(serving::kInputName, model.input_shape(), *response.add_inputs());
  AddTensor(serving::kOutputName, model.output_shape(), *response.add_outputs());
  auto& properties = *response.mutable_properties();
  properties["preprocess"] = model.preprocess().ToJson();
  properties["class_names"] = std::to_string(model.model().class_names.size());
  properties["artifact_sha256"] = model.sha256();
  properties["kernels"] = std::string(model.loaded().kernel_path());
  properties["max_batch"] = std::to_string(settings.max_batch);
}

}  // namespace

InferenceService::InferenceService(serving::Engine& engine, const serving::Repository& repository,
                                   metrics::Metrics& metrics, std::function<bool()> ready)
    : engine_(engine), repository_(repository), metrics_(metrics), ready_(std::move(ready)) {}

grpc::ServerUnaryReactor* InferenceService::Finish(grpc::CallbackServerContext* context,
                                                   const char* method, const Status& status) {
  metrics_.CountRpc(fmt::format("/inference.GRPCInferenceService/{}", method),
                    StatusCodeName(status.code()));
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpc(status));
  return reactor;
}

grpc::ServerUnaryReactor* InferenceService::ServerLive(grpc::CallbackServerContext* context,
                                                       const inference::ServerLiveRequest*,
                                                       inference::ServerLiveResponse* response) {
  response->set_live(true);
  return Finish(context, "ServerLive", {});
}

grpc::ServerUnaryReactor* InferenceService::ServerReady(grpc::CallbackServerContext* context,
                                                        const inference::ServerReadyRequest*,
                                                        inference::ServerReadyResponse* response) {
  response->set_ready(ready_());
  return Finish(context, "ServerReady", {});
}

grpc::ServerUnaryReactor* InferenceService::ModelReady(grpc::CallbackServerContext* context,
                                                       const inference::ModelReadyRequest* request,
                                                       inference::ModelReadyResponse* response) {
  response->set_ready(repository_.Acquire(request->name(), request->version()).ok());
  return Finish(context, "ModelReady", {});
}

grpc::ServerUnaryReactor* InferenceService::ServerMetadata(
    grpc::CallbackServerContext* context, const inference::ServerMetadataRequest*,
    inference::ServerMetadataResponse* response) {
  response->set_name("haq");
  response->set_version(std::string(kVersion));
  return Finish(context, "ServerMetadata", {});
}

grpc::ServerUnaryReactor* InferenceService::ModelMetadata(
    grpc::CallbackServerContext* context, const inference::ModelMetadataRequest* request,
    inference::ModelMetadataResponse* response) {
  const auto model = repository_.Acquire(request->name(), request->version());
  if (model.ok()) Describe(**model, engine_.settings(), *response);
  return Finish(context, "ModelMetadata", model.status());
}

grpc::ServerUnaryReactor* InferenceService::ModelInfer(grpc::CallbackServerContext* context,
                                                       const inference::ModelInferRequest* request,
                                                       inference::ModelInferResponse* response) {
  auto* const call = new InferCall(*request, *response, engine_, metrics_);
  call->Start(context->deadline());
  return call;
}

}  // namespace haq::server::rpc
