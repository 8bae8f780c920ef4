#include "client/cli/bench_inputs.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <utility>

#include "core/base/file.h"

namespace haq::client {
namespace {

// More is no request that a server takes, and would only fill this machine's memory.
constexpr int64_t kMaxRequestBytes = int64_t{1} << 30;

using Shape = google::protobuf::RepeatedField<int64_t>;

// Values of one sample, of a shape [N, C, H, W] whose N is -1.
Result<int64_t> SampleValues(const Shape& shape) {
  int64_t values = 1;
  for (int i = 1; i < shape.size(); ++i) {
    if (shape[i] < 1 || values > kMaxRequestBytes / shape[i]) {
      return Unsupported("dimension {} of the model's input is {}", i, shape[i]);
    }
    values *= shape[i];
  }
  return values;
}

std::string DrawValues(const std::string& datatype, int64_t count, std::mt19937_64& random) {
  std::string bytes;
  if (datatype == "FP32") {
    std::normal_distribution<float> normal;
    bytes.resize(static_cast<size_t>(count) * sizeof(float));
    for (int64_t i = 0; i < count; ++i) {
      const float value = normal(random);
      std::memcpy(bytes.data() + i * static_cast<int64_t>(sizeof(float)), &value, sizeof(float));
    }
    return bytes;
  }
  bytes.resize(static_cast<size_t>(count));
  for (char& byte : bytes) byte = static_cast<char>(random() & 0xff);
  return bytes;
}

// An element of raw BYTES: its size in four little-endian bytes, then itself.
void AppendElement(const std::string& element, std::string& to) {
  const auto size = static_cast<uint32_t>(element.size());
  for (int shift = 0; shift < 32; shift += 8) to += static_cast<char>(size >> shift & 0xff);
  to += element;
}

inference::ModelInferRequest EmptyRequest(const BenchInputs& inputs, const std::string& name,
                                          const std::string& datatype) {
  inference::ModelInferRequest request;
  request.set_model_name(inputs.model);
  request.set_model_version(inputs.version);
  auto* input = request.add_inputs();
  input->set_name(name);
  input->set_datatype(datatype);
  input->add_shape(inputs.batch);
  return request;
}

Result<std::vector<inference::ModelInferRequest>> ImageRequests(const BenchInputs& inputs,
                                                                const std::string& name) {
  std::vector<std::string> images;
  for (const std::string& file : inputs.files) {
    HAQ_ASSIGN_OR_RETURN(std::string image, ReadTextFile(file));
    images.push_back(std::move(image));
  }
  std::vector<inference::ModelInferRequest> requests;
  // As many requests as it takes until every image was sent once.
  const auto images_needed = std::max(static_cast<int64_t>(images.size()), inputs.distinct);
  for (int64_t next = 0; next < images_needed || requests.empty();) {
    requests.push_back(EmptyRequest(inputs, name, "BYTES"));
    std::string* raw = requests.back().add_raw_input_contents();
    for (int64_t i = 0; i < inputs.batch; ++i, ++next) {
      AppendElement(images[static_cast<size_t>(next) % images.size()], *raw);
    }
  }
  return requests;
}

}  // namespace

Result<std::vector<inference::ModelInferRequest>> MakeBenchRequests(
    const inference::ModelMetadataResponse& metadata, const BenchInputs& inputs) {
  if (metadata.inputs_size() != 1) {
    return Unsupported("{} has {} inputs; networks with one can be measured", inputs.model,
                       metadata.inputs_size());
  }
  const auto& input = metadata.inputs(0);
  if (!inputs.files.empty()) return ImageRequests(inputs, input.name());
  HAQ_ASSIGN_OR_RETURN(const int64_t values, SampleValues(input.shape()));
  const int64_t bytes = values * (inputs.datatype == "FP32" ? 4 : 1);
  if (bytes > kMaxRequestBytes / inputs.batch / inputs.distinct) {
    return InvalidField("--batch", "{} requests of {} samples of {} bytes are more than {} bytes",
                        inputs.distinct, inputs.batch, bytes, kMaxRequestBytes);
  }
  std::mt19937_64 random(inputs.seed);
  std::vector<inference::ModelInferRequest> requests;
  for (int64_t i = 0; i < inputs.distinct; ++i) {
    requests.push_back(EmptyRequest(inputs, input.name(), inputs.datatype));
    for (int d = 1; d < input.shape_size(); ++d) {
      requests.back().mutable_inputs(0)->add_shape(input.shape(d));
    }
    requests.back().add_raw_input_contents(
        DrawValues(inputs.datatype, inputs.batch * values, random));
  }
  return requests;
}

}  // namespace haq::client
