#include "server/serving/preparation.h"

#include <fmt/ranges.h>

#include <bit>
#include <cstring>
#include <utility>

#include "server/serving/outputs.h"

namespace haq::server::serving {
namespace {

static_assert(std::endian::native == std::endian::little, "raw contents are little-endian");

std::string ShapeText(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::string ExpectedShape(const ServedModel& model) {
  return fmt::format("[N, {}]", fmt::join(model.input_shape(), ", "));
}

Status CheckNames(const Request& request) {
  if (request.inputs.size() != 1) {
    return InvalidField("inputs", "the model has one input, '{}', and the request has {}",
                        kInputName, request.inputs.size());
  }
  if (request.inputs[0].name != kInputName) {
    return InvalidField("inputs[0].name", "the model has no input '{}', only '{}'",
                        request.inputs[0].name, kInputName);
  }
  for (size_t i = 0; i < request.outputs.size(); ++i) {
    if (request.outputs[i].name != kOutputName) {
      return InvalidField(fmt::format("outputs[{}].name", i),
                          "the model has no output '{}', only '{}'", request.outputs[i].name,
                          kOutputName);
    }
  }
  if (request.outputs.size() > 1) {
    return InvalidField("outputs[1].name", "'{}' was asked for already", kOutputName);
  }
  return {};
}

Status CheckBatch(int64_t batch, const Settings& settings) {
  if (batch < 1) {
    return InvalidField("inputs[0].shape", "a batch must have at least one sample, this has {}",
                        batch);
  }
  if (batch > settings.max_batch) {
    Status status =
        ResourceExhausted("inputs[0].shape: a batch of {} is over the limit of {} (--max-batch)",
                          batch, settings.max_batch);
    return status.AddField("inputs[0].shape",
                           fmt::format("at most {} samples", settings.max_batch));
  }
  return {};
}

Status CheckTensorShape(const std::vector<int64_t>& shape, const ServedModel& model) {
  const auto& sample = model.input_shape();
  const bool fits = shape.size() == sample.size() + 1 &&
                    std::equal(sample.begin(), sample.end(), shape.begin() + 1);
  if (fits) return {};
  return InvalidField("inputs[0].shape", "is {}, but the model takes {}", ShapeText(shape),
                      ExpectedShape(model));
}

Result<Prepared> PrepareTensor(const InputTensor& input, const ServedModel& model,
                               const Settings& settings) {
  HAQ_RETURN_IF_ERROR(CheckTensorShape(input.shape, model));
  HAQ_RETURN_IF_ERROR(CheckBatch(input.shape[0], settings));
  const auto elements = static_cast<size_t>(input.shape[0] * model.loaded().input_elements());
  TensorValues values;
  if (input.datatype != kFp32) values.element_bytes = 1;
  if (input.datatype == kInt8) values.flip = 0x80;
  if (const auto* raw = std::get_if<RawContent>(&input.content)) {
    if (raw->bytes.size() != elements * values.element_bytes) {
      return InvalidField("raw_input_contents[0]", "has {} bytes; shape {} of {} takes {}",
                          raw->bytes.size(), ShapeText(input.shape), input.datatype,
                          elements * values.element_bytes);
    }
    values.bytes = raw->bytes;
    return Prepared{input.shape[0], values};
  }
  const auto* floats = std::get_if<FloatContent>(&input.content);
  const size_t found = floats != nullptr ? floats->size() : 0;
  if (found != elements || input.datatype != kFp32) {
    return InvalidField("inputs[0].contents.fp32_contents", "has {} values; shape {} takes {}",
                        found, ShapeText(input.shape), elements);
  }
  values.bytes =
      std::span(reinterpret_cast<const uint8_t*>(floats->data()), floats->size() * sizeof(float));
  return Prepared{input.shape[0], values};
}

// 4 bytes little-endian length and the element, `count` times, and nothing after.
Result<std::vector<EncodedImage>> SplitRawBytes(std::span<const uint8_t> bytes, int64_t count) {
  const char* const field = "raw_input_contents[0]";
  std::vector<EncodedImage> elements;
  for (int64_t i = 0; i < count; ++i) {
    uint32_t length = 0;
    if (bytes.size() < sizeof length) {
      return InvalidField(field, "ends before the length of element {} of {}", i, count);
    }
    std::memcpy(&length, bytes.data(), sizeof length);
    bytes = bytes.subspan(sizeof length);
    if (length > bytes.size()) {
      return InvalidField(field, "element {} has a length of {} bytes, but only {} follow", i,
                          length, bytes.size());
    }
    elements.push_back(bytes.first(length));
    bytes = bytes.subspan(length);
  }
  if (!bytes.empty()) {
    return InvalidField(field, "has {} bytes after the last of {} elements", bytes.size(), count);
  }
  return elements;
}

Status CheckImagesShape(const std::vector<int64_t>& shape) {
  if (shape.size() == 1 || (shape.size() == 2 && shape[1] == 1)) return {};
  return InvalidField("inputs[0].shape", "is {}, but BYTES (encoded images) take [N] or [N, 1]",
                      ShapeText(shape));
}

Result<Prepared> PrepareImages(const InputTensor& input, const Settings& settings) {
  HAQ_RETURN_IF_ERROR(CheckImagesShape(input.shape));
  HAQ_RETURN_IF_ERROR(CheckBatch(input.shape[0], settings));
  std::vector<EncodedImage> images;
  if (const auto* raw = std::get_if<RawContent>(&input.content)) {
    HAQ_ASSIGN_OR_RETURN(images, SplitRawBytes(raw->bytes, input.shape[0]));
  } else if (const auto* elements = std::get_if<BytesContent>(&input.content)) {
    for (const std::string_view element : *elements) {
      images.emplace_back(reinterpret_cast<const uint8_t*>(element.data()), element.size());
    }
  }
  if (images.size() != static_cast<size_t>(input.shape[0])) {
    return InvalidField("inputs[0].contents.bytes_contents", "has {} elements; shape {} takes {}",
                        images.size(), ShapeText(input.shape), input.shape[0]);
  }
  for (size_t i = 0; i < images.size(); ++i) {
    if (images[i].size() > settings.max_image_bytes) {
      return ResourceExhausted(
          "inputs[0]: image {} has {} bytes; the limit is {} (--max-image-bytes)", i,
          images[i].size(), settings.max_image_bytes);
    }
  }
  return Prepared{input.shape[0], std::move(images)};
}

Result<Prepared> PrepareInput(const InputTensor& input, const ServedModel& model,
                              const Settings& settings) {
  if (input.datatype == kFp32 || input.datatype == kUint8 || input.datatype == kInt8) {
    return PrepareTensor(input, model, settings);
  }
  if (input.datatype == kBytes) return PrepareImages(input, settings);
  return InvalidField("inputs[0].datatype",
                      "'{}' is not supported; allowed are FP32, UINT8, INT8 (shape {}) and "
                      "BYTES (encoded images, shape [N])",
                      input.datatype, ExpectedShape(model));
}

}  // namespace

Result<Prepared> Prepare(const Request& request, const ServedModel& model,
                         const Settings& settings) {
  HAQ_RETURN_IF_ERROR(CheckNames(request));
  for (size_t i = 0; i < request.outputs.size(); ++i) {
    HAQ_RETURN_IF_ERROR(CheckOutput(request.outputs[i], fmt::format("outputs[{}]", i), model));
  }
  const InputTensor& told = request.inputs[0];
  if (!told.one_sample) return PrepareInput(told, model, settings);
  InputTensor input = told;
  input.shape = {1};
  if (input.datatype != kBytes) {
    input.shape.insert(input.shape.end(), model.input_shape().begin(), model.input_shape().end());
  }
  return PrepareInput(input, model, settings);
}

namespace {

// Levels become the real values they stand for, which quantizing makes the same levels of again.
void FillValues(const TensorValues& values, size_t first, const ServedModel& model,
                std::span<float> floats) {
  if (values.element_bytes == sizeof(float)) {
    std::memcpy(floats.data(), values.bytes.data() + first * sizeof(float), floats.size_bytes());
    return;
  }
  const auto& real = model.input_levels();
  const uint8_t* const levels = values.bytes.data() + first;
  for (size_t i = 0; i < floats.size(); ++i) {
    floats[i] = real[static_cast<uint8_t>(levels[i] ^ values.flip)];
  }
}

}  // namespace

Status FillSamples(const Prepared& prepared, int64_t first, int64_t count, const ServedModel& model,
                   const Settings& settings, std::span<float> floats) {
  const auto elements = static_cast<size_t>(model.loaded().input_elements());
  if (const auto* values = std::get_if<TensorValues>(&prepared.samples)) {
    FillValues(*values, static_cast<size_t>(first) * elements, model,
               floats.first(static_cast<size_t>(count) * elements));
    return {};
  }
  const auto& images = std::get<std::vector<EncodedImage>>(prepared.samples);
  const data::DecodeLimits limits{.max_encoded_bytes = settings.max_image_bytes,
                                  .max_pixels = settings.max_image_pixels};
  for (int64_t i = 0; i < count; ++i) {
    const std::string context = fmt::format("inputs[0]: image {}", first + i);
    const auto image = data::DecodeImage(images[static_cast<size_t>(first + i)], limits);
    if (!image.ok()) return image.status().WithContext(context);
    const Status applied = data::Apply(model.preprocess(), *image, model.input_shape(),
                                       floats.subspan(static_cast<size_t>(i) * elements, elements));
    if (!applied.ok()) return applied.WithContext(context);
  }
  return {};
}

}  // namespace haq::server::serving
