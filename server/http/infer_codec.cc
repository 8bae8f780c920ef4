#include "server/http/infer_codec.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "server/http/gzip.h"
#include "server/serving/outputs.h"

namespace haq::server::http {
namespace {

using nlohmann::json;

constexpr char kHeaderLength[] = "inference-header-content-length";
// Below it a compressed answer saves no packet.
constexpr size_t kWorthCompressing = 1024;

std::string Shortened(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 60);
}

Result<std::string> StringMember(const json& object, const char* name, const std::string& field) {
  const auto found = object.find(name);
  if (found == object.end()) return InvalidField(field, "is missing");
  if (!found->is_string()) {
    return InvalidField(field, "must be a string, found {}", Shortened(*found));
  }
  return found->get<std::string>();
}

Result<int64_t> IntegerOf(const json& value, const std::string& field) {
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() ||
                     value.get<uint64_t>() <= std::numeric_limits<int64_t>::max()) &&
                    value.get<int64_t>() >= 0;
  if (!fits) {
    return InvalidField(field, "must be an integer that is not negative, found {}",
                        Shortened(value));
  }
  return value.get<int64_t>();
}

Result<std::vector<int64_t>> ShapeOf(const json& input, const std::string& field) {
  const auto found = input.find("shape");
  if (found == input.end() || !found->is_array()) {
    return InvalidField(field, "must be an array of integers");
  }
  std::vector<int64_t> shape;
  for (const json& dimension : *found) {
    HAQ_ASSIGN_OR_RETURN(const int64_t size, IntegerOf(dimension, field));
    shape.push_back(size);
  }
  return shape;
}

// The object of that name, or an empty one when there is none.
Result<json> ParametersOf(const json& object, const std::string& field) {
  const auto found = object.find("parameters");
  if (found == object.end()) return json::object();
  if (!found->is_object()) return InvalidField(field, "must be an object");
  return *found;
}

Result<bool> BooleanOf(const json& value, const std::string& field) {
  if (!value.is_boolean()) {
    return InvalidField(field, "must be true or false, found {}", Shortened(value));
  }
  return value.get<bool>();
}

// Parameters of shared memory would change where tensors come from and go to.
Status NoSharedMemory(const json& parameters, const std::string& field) {
  if (!parameters.contains("shared_memory_region")) return {};
  return InvalidField(field + ".shared_memory_region", "shared memory is not supported");
}

// One byte for each number.
Status Narrow(const std::vector<float>& numbers, const std::string& field, serving::Request& to,
              serving::InputTensor& tensor) {
  const float low = tensor.datatype == serving::kInt8 ? -128 : 0, high = low + 255;
  std::vector<uint8_t> bytes;
  bytes.reserve(numbers.size());
  for (const float number : numbers) {
    if (number != std::nearbyint(number) || number < low || number > high) {
      return InvalidField(field, "value {} is {}; {} has whole numbers from {} to {}", bytes.size(),
                          number, tensor.datatype, low, high);
    }
    bytes.push_back(static_cast<uint8_t>(static_cast<int>(number)));
  }
  to.owned.push_back(std::move(bytes));
  tensor.content = serving::RawContent{to.owned.back()};
  return {};
}

class Parser {
 public:
  Parser(Inference& inference, size_t json_bytes)
      : inference_(inference),
        tail_(std::span(reinterpret_cast<const uint8_t*>(inference.body.data()),
                        inference.body.size())
                  .subspan(json_bytes)) {}

  Status Run() {
    HAQ_RETURN_IF_ERROR(ReadId());
    HAQ_RETURN_IF_ERROR(ReadParameters());
    HAQ_RETURN_IF_ERROR(ReadInputs());
    if (!tail_.empty()) {
      return InvalidArgument("the body has {} bytes after its last binary tensor", tail_.size());
    }
    return ReadOutputs();
  }

 private:
  Status ReadId() {
    if (!document_.contains("id")) return {};
    HAQ_ASSIGN_OR_RETURN(inference_.id, StringMember(document_, "id", "id"));
    return {};
  }

  Status ReadParameters() {
    HAQ_ASSIGN_OR_RETURN(const json parameters, ParametersOf(document_, "parameters"));
    for (const auto& [name, value] : parameters.items()) {
      const std::string field = "parameters." + name;
      if (name == "priority") {
        HAQ_ASSIGN_OR_RETURN(const int64_t priority, IntegerOf(value, field));
        inference_.request.priority =
            static_cast<int>(std::min<int64_t>(priority, std::numeric_limits<int>::max()));
      } else if (name == "timeout") {
        HAQ_ASSIGN_OR_RETURN(const int64_t timeout_us, IntegerOf(value, field));
        inference_.request.deadline = serving::DeadlineAfter(timeout_us);
      } else if (name == "binary_data_output") {
        HAQ_ASSIGN_OR_RETURN(all_binary_, BooleanOf(value, field));
      }
    }
    return {};
  }

  Status ReadInputs() {
    const auto inputs = document_.find("inputs");
    if (inputs == document_.end() || !inputs->is_array()) {
      return InvalidField("inputs", "must be an array");
    }
    for (size_t i = 0; i < inputs->size(); ++i) {
      const std::string field = fmt::format("inputs[{}]", i);
      if (!(*inputs)[i].is_object()) return InvalidField(field, "must be an object");
      HAQ_RETURN_IF_ERROR(ReadInput((*inputs)[i], i, field));
    }
    return {};
  }

  Status ReadInput(const json& input, size_t index, const std::string& field) {
    serving::InputTensor tensor;
    HAQ_ASSIGN_OR_RETURN(tensor.name, StringMember(input, "name", field + ".name"));
    HAQ_ASSIGN_OR_RETURN(tensor.datatype, StringMember(input, "datatype", field + ".datatype"));
    HAQ_ASSIGN_OR_RETURN(tensor.shape, ShapeOf(input, field + ".shape"));
    HAQ_ASSIGN_OR_RETURN(const json parameters, ParametersOf(input, field + ".parameters"));
    HAQ_RETURN_IF_ERROR(NoSharedMemory(parameters, field + ".parameters"));
    // As many as there are objects in "inputs".
    const DataArray& data = inference_.json.data[index];
    const auto binary = parameters.find("binary_data_size");
    if (binary == parameters.end()) {
      HAQ_RETURN_IF_ERROR(TakeData(data, field + ".data", tensor));
    } else {
      if (data.present) return InvalidField(field + ".data", "must not be beside binary_data_size");
      HAQ_RETURN_IF_ERROR(TakeBinary(*binary, field + ".parameters.binary_data_size", tensor));
    }
    inference_.request.inputs.push_back(std::move(tensor));
    return {};
  }

  Status TakeBinary(const json& value, const std::string& field, serving::InputTensor& tensor) {
    HAQ_ASSIGN_OR_RETURN(const int64_t size, IntegerOf(value, field));
    if (static_cast<uint64_t>(size) > tail_.size()) {
      return InvalidField(field, "is {}, but only {} bytes follow the JSON and the inputs before",
                          size, tail_.size());
    }
    tensor.content = serving::RawContent{tail_.first(static_cast<size_t>(size))};
    tail_ = tail_.subspan(static_cast<size_t>(size));
    return {};
  }

  Status TakeData(const DataArray& data, const std::string& field, serving::InputTensor& tensor) {
    if (!data.present)
      return InvalidField(field, "must be an array (or binary_data_size be given)");
    const bool strings = tensor.datatype == serving::kBytes;
    if (strings ? !data.numbers.empty() : !data.strings.empty()) {
      return InvalidField(field, "has {}; {} takes {}", strings ? "numbers" : "strings",
                          tensor.datatype, strings ? "strings" : "numbers");
    }
    if (strings) {
      tensor.content = serving::BytesContent(data.strings.begin(), data.strings.end());
    } else if (tensor.datatype == serving::kUint8 || tensor.datatype == serving::kInt8) {
      return Narrow(data.numbers, field, inference_.request, tensor);
    } else {
      tensor.content = serving::FloatContent(data.numbers);
    }
    return {};
  }

  Status ReadOutputs() {
    const auto outputs = document_.find("outputs");
    if (outputs == document_.end()) {
      inference_.binary = {all_binary_};
      return {};
    }
    if (!outputs->is_array()) return InvalidField("outputs", "must be an array");
    for (size_t i = 0; i < outputs->size(); ++i) {
      const std::string field = fmt::format("outputs[{}]", i);
      if (!(*outputs)[i].is_object()) return InvalidField(field, "must be an object");
      HAQ_RETURN_IF_ERROR(ReadOutput((*outputs)[i], field));
    }
    if (outputs->empty()) inference_.binary = {all_binary_};
    return {};
  }

  Status ReadOutput(const json& output, const std::string& field) {
    serving::RequestedOutput requested;
    HAQ_ASSIGN_OR_RETURN(requested.name, StringMember(output, "name", field + ".name"));
    HAQ_ASSIGN_OR_RETURN(const json parameters, ParametersOf(output, field + ".parameters"));
    HAQ_RETURN_IF_ERROR(NoSharedMemory(parameters, field + ".parameters"));
    bool binary = all_binary_;
    for (const auto& [name, value] : parameters.items()) {
      const std::string parameter = field + ".parameters." + name;
      if (name == "binary_data") {
        HAQ_ASSIGN_OR_RETURN(binary, BooleanOf(value, parameter));
      } else if (name == "classification") {
        HAQ_ASSIGN_OR_RETURN(requested.classes, IntegerOf(value, parameter));
      } else if (name == "datatype") {
        HAQ_ASSIGN_OR_RETURN(requested.datatype, StringMember(parameters, "datatype", parameter));
      }
    }
    inference_.request.outputs.push_back(std::move(requested));
    inference_.binary.push_back(binary);
    return {};
  }

  Inference& inference_;
  const json& document_ = inference_.json.document;
  std::span<const uint8_t> tail_;  // binary tensors that were not taken yet
  bool all_binary_ = false;
};

Result<std::optional<size_t>> HeaderLength(const Request& http, size_t body_bytes) {
  const auto header = http.headers.find(kHeaderLength);
  if (header == http.headers.end()) return std::optional<size_t>();
  const std::string& text = header->second;
  size_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (error != std::errc() || end != text.data() + text.size() || length > body_bytes) {
    return InvalidArgument(
        "Inference-Header-Content-Length: '{}' must be a number of bytes that the body has ({})",
        text.substr(0, 40), body_bytes);
  }
  return std::optional(length);
}

void OneSample(Inference& inference, const std::string& content_type) {
  const bool image = content_type == "image/jpeg" || content_type == "image/png";
  serving::InputTensor tensor{.name = std::string(serving::kInputName),
                              .datatype = std::string(image ? serving::kBytes : serving::kFp32),
                              .shape = {},
                              .content = {},
                              .one_sample = true};
  if (image) {
    tensor.content = serving::BytesContent{inference.body};
  } else {
    tensor.content = serving::RawContent{
        {reinterpret_cast<const uint8_t*>(inference.body.data()), inference.body.size()}};
  }
  inference.request.inputs.push_back(std::move(tensor));
  inference.binary = {true};
}

// Numbers as short as they can be and still read back as the same float.
void AppendNumbers(const serving::OutputTensor& output, std::string& text) {
  auto out = std::back_inserter(text);
  for (size_t i = 0; i < output.values.size(); ++i) {
    if (i > 0) text += ',';
    // JSON has no other word for what is no number; an integer network never makes one.
    std::isfinite(output.values[i]) ? fmt::format_to(out, "{}", output.values[i])
                                    : fmt::format_to(out, "null");
  }
  for (size_t i = 0; i < output.levels.size(); ++i) {
    const int level = output.datatype == serving::kInt8 ? static_cast<int8_t>(output.levels[i])
                                                        : output.levels[i];
    fmt::format_to(out, "{}{}", i > 0 ? "," : "", level);
  }
}

std::string Quoted(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

// The tensor's JSON object; its bytes go to `tail` when it is binary.
std::string OutputJson(const serving::OutputTensor& output, bool binary, std::string& tail) {
  std::string text = fmt::format(R"({{"name":{},"datatype":"{}","shape":{},)", Quoted(output.name),
                                 output.datatype, Quoted(output.shape));
  if (binary) {
    const std::string bytes = serving::RawBytes(output);
    tail += bytes;
    return text + fmt::format(R"("parameters":{{"binary_data_size":{}}}}})", bytes.size());
  }
  text += R"("data":)";
  if (output.datatype == serving::kBytes) return text + Quoted(output.elements) + "}";
  text += '[';
  AppendNumbers(output, text);
  return text + "]}";
}

}  // namespace

Result<std::shared_ptr<Inference>> ParseInference(Request http, uint64_t max_body_bytes) {
  const auto inference = std::make_shared<Inference>();
  const auto encoding = http.headers.find("content-encoding");
  HAQ_ASSIGN_OR_RETURN(inference->body,
                       Decompress(encoding == http.headers.end() ? "" : encoding->second,
                                  std::move(http.body), max_body_bytes));
  inference->request.model = http.parameters["model"];
  inference->request.version = http.parameters["version"];
  HAQ_ASSIGN_OR_RETURN(const auto length, HeaderLength(http, inference->body.size()));
  if (length == size_t{0}) {
    OneSample(*inference, http.content_type);
    return inference;
  }
  const size_t json_bytes = length.value_or(inference->body.size());
  HAQ_ASSIGN_OR_RETURN(inference->json,
                       ReadInferenceJson(std::string_view(inference->body).substr(0, json_bytes)));
  HAQ_RETURN_IF_ERROR(Parser(*inference, json_bytes).Run());
  return inference;
}

Response FormatInference(const serving::Response& response, const Inference& inference,
                         std::string_view accept_encoding) {
  std::string text = fmt::format(R"({{"model_name":{},"model_version":"{}",)",
                                 Quoted(response.model), response.version);
  if (!inference.id.empty()) text += fmt::format(R"("id":{},)", Quoted(inference.id));
  text += R"("outputs":[)";
  std::string tail;
  for (size_t i = 0; i < response.outputs.size(); ++i) {
    if (i > 0) text += ',';
    text += OutputJson(response.outputs[i], inference.binary[i], tail);
  }
  text += "]}";
  Response answer;
  if (!tail.empty()) {
    answer.content_type = "application/octet-stream";
    answer.headers.emplace_back("Inference-Header-Content-Length", std::to_string(text.size()));
  }
  answer.body = std::move(text) + tail;
  const std::string_view encoding = ChooseEncoding(accept_encoding);
  if (!encoding.empty() && answer.body.size() >= kWorthCompressing) {
    answer.body = Compress(encoding, answer.body);
    answer.headers.emplace_back("Content-Encoding", encoding);
  }
  answer.headers.emplace_back("Vary", "Accept-Encoding");
  return answer;
}

}  // namespace haq::server::http
