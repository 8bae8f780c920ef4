#include "server/rpc/infer_translation.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "server/serving/outputs.h"

namespace haq::server::rpc {
namespace {

using Clock = std::chrono::steady_clock;
using InputMessage = inference::ModelInferRequest::InferInputTensor;
using OutputMessage = inference::ModelInferRequest::InferRequestedOutputTensor;

Status NoSharedMemory(const std::string& field) {
  return InvalidField(field + ".parameters.shared_memory_region", "shared memory is not supported");
}

// The field of typed contents that a datatype takes.
std::string_view ContentsField(const std::string& datatype) {
  if (datatype == serving::kBytes) return "bytes_contents";
  if (datatype == serving::kUint8) return "uint_contents";
  if (datatype == serving::kInt8) return "int_contents";
  return "fp32_contents";
}

bool IsKnownType(const std::string& datatype) {
  return datatype == serving::kFp32 || datatype == serving::kBytes || datatype == serving::kUint8 ||
         datatype == serving::kInt8;
}

// Only the field of the datatype may be set.
Status CheckTypedContents(const InputMessage& input, const std::string& field) {
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
  const std::string_view wanted = ContentsField(input.datatype());
  for (const auto& [name, size] : sizes) {
    if (size > 0 && name != wanted) {
      return InvalidField(fmt::format("{}.contents.{}", field, name),
                          "must be empty; datatype {} takes {}", input.datatype(), wanted);
    }
  }
  return {};
}

// One byte for each value.
template <typename Values>
Status Narrow(const Values& values, int64_t low, int64_t high, const std::string& field,
              serving::Request& to, serving::InputTensor& tensor) {
  std::vector<uint8_t> bytes(static_cast<size_t>(values.size()));
  for (int i = 0; i < values.size(); ++i) {
    const int64_t value = values[i];
    if (value < low || value > high) {
      return InvalidField(fmt::format("{}.contents.{}", field, ContentsField(tensor.datatype)),
                          "value {} is {}; {} has {} to {}", i, value, tensor.datatype, low, high);
    }
    bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(value);
  }
  to.owned.push_back(std::move(bytes));
  tensor.content = serving::RawContent{to.owned.back()};
  return {};
}

Status AddTypedInput(const InputMessage& input, const std::string& field, serving::Request& to) {
  serving::InputTensor tensor{
      input.name(), input.datatype(), {input.shape().begin(), input.shape().end()}, {}};
  const auto& contents = input.contents();
  if (input.datatype() == serving::kBytes) {
    const auto& elements = contents.bytes_contents();
    tensor.content = serving::BytesContent(elements.begin(), elements.end());
  } else if (input.datatype() == serving::kUint8) {
    HAQ_RETURN_IF_ERROR(Narrow(contents.uint_contents(), 0, 255, field, to, tensor));
  } else if (input.datatype() == serving::kInt8) {
    HAQ_RETURN_IF_ERROR(Narrow(contents.int_contents(), -128, 127, field, to, tensor));
  } else {
    const auto& values = contents.fp32_contents();
    tensor.content = serving::FloatContent(values.data(), static_cast<size_t>(values.size()));
  }
  to.inputs.push_back(std::move(tensor));
  return {};
}

serving::InputTensor RawInput(const InputMessage& input, const std::string& bytes) {
  return {input.name(),
          input.datatype(),
          {input.shape().begin(), input.shape().end()},
          serving::RawContent{{reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}}};
}

Status AddInput(const inference::ModelInferRequest& from, int i, serving::Request& to) {
  const InputMessage& input = from.inputs(i);
  const std::string field = fmt::format("inputs[{}]", i);
  if (input.parameters().contains("shared_memory_region")) return NoSharedMemory(field);
  if (from.raw_input_contents_size() > 0) {
    if (input.has_contents()) {
      return InvalidField(field + ".contents", "must not be set beside raw_input_contents");
    }
    to.inputs.push_back(RawInput(input, from.raw_input_contents(i)));
    return {};
  }
  // A datatype that is not supported is the better message, and serving has it.
  if (IsKnownType(input.datatype())) HAQ_RETURN_IF_ERROR(CheckTypedContents(input, field));
  return AddTypedInput(input, field, to);
}

// Of a parameter that is an integer, however it was sent.
Result<int64_t> IntegerOf(const inference::InferParameter& parameter, const std::string& field) {
  if (parameter.has_int64_param() && parameter.int64_param() >= 0) return parameter.int64_param();
  if (parameter.has_uint64_param() &&
      parameter.uint64_param() <= std::numeric_limits<int64_t>::max()) {
    return static_cast<int64_t>(parameter.uint64_param());
  }
  return InvalidField(field, "must be an integer that is not negative");
}

Status AddOutput(const OutputMessage& output, const std::string& field, serving::Request& to) {
  serving::RequestedOutput requested{.name = output.name()};
  for (const auto& [name, parameter] : output.parameters()) {
    const std::string parameter_field = field + ".parameters." + name;
    if (name == "shared_memory_region") return NoSharedMemory(field);
    if (name == "classification") {
      HAQ_ASSIGN_OR_RETURN(requested.classes, IntegerOf(parameter, parameter_field));
    } else if (name == "datatype") {
      if (!parameter.has_string_param()) return InvalidField(parameter_field, "must be a string");
      requested.datatype = parameter.string_param();
    }
  }
  to.outputs.push_back(std::move(requested));
  return {};
}

Result<int64_t> IntegerParameter(const inference::ModelInferRequest& request, const char* name) {
  const auto found = request.parameters().find(name);
  if (found == request.parameters().end()) return 0;
  return IntegerOf(found->second, fmt::format("parameters.{}", name));
}

void SetContents(const serving::OutputTensor& output, inference::InferTensorContents& contents) {
  contents.mutable_fp32_contents()->Add(output.values.begin(), output.values.end());
  for (const std::string& element : output.elements) contents.add_bytes_contents(element);
  if (output.datatype == serving::kInt8) {
    for (const uint8_t level : output.levels) {
      contents.add_int_contents(static_cast<int8_t>(level));
    }
  } else {
    contents.mutable_uint_contents()->Add(output.levels.begin(), output.levels.end());
  }
}

}  // namespace

Status Translate(const inference::ModelInferRequest& from, serving::Request& to) {
  to.model = from.model_name();
  to.version = from.model_version();
  const int raw = from.raw_input_contents_size();
  if (raw != 0 && raw != from.inputs_size()) {
    return InvalidField("raw_input_contents", "has {} entries for {} inputs; one for each, or none",
                        raw, from.inputs_size());
  }
  for (int i = 0; i < from.inputs_size(); ++i) HAQ_RETURN_IF_ERROR(AddInput(from, i, to));
  for (int i = 0; i < from.outputs_size(); ++i) {
    HAQ_RETURN_IF_ERROR(AddOutput(from.outputs(i), fmt::format("outputs[{}]", i), to));
  }
  return {};
}

Status SetUrgency(const inference::ModelInferRequest& from,
                  std::chrono::system_clock::time_point call_deadline, serving::Request& to) {
  HAQ_ASSIGN_OR_RETURN(const int64_t priority, IntegerParameter(from, "priority"));
  HAQ_ASSIGN_OR_RETURN(const int64_t timeout_us, IntegerParameter(from, "timeout"));
  to.priority = static_cast<int>(std::min<int64_t>(priority, std::numeric_limits<int>::max()));
  to.deadline = serving::DeadlineAfter(timeout_us);
  const auto left = std::chrono::duration_cast<std::chrono::microseconds>(
      call_deadline - std::chrono::system_clock::now());
  if (left < serving::kLongestTimeout) to.deadline = std::min(to.deadline, Clock::now() + left);
  return {};
}

void Translate(const serving::Response& from, const inference::ModelInferRequest& request,
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
      to.add_raw_output_contents(serving::RawBytes(output));
    } else {
      SetContents(output, *tensor.mutable_contents());
    }
  }
}

}  // namespace haq::server::rpc
