#include "server/serving/outputs.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace haq::server::serving {
namespace {

// Of equal values the lower index is the better class.
std::vector<int64_t> BestClasses(std::span<const float> scores, size_t count) {
  std::vector<int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  const auto better = [scores](int64_t a, int64_t b) {
    const float x = scores[static_cast<size_t>(a)], y = scores[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  };
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    better);
  order.resize(count);
  return order;
}

void Classify(const ServedModel& model, int64_t wanted, std::span<const float> values,
              OutputTensor& output) {
  const auto classes = static_cast<size_t>(model.output_shape()[0]);
  const size_t count = std::min(static_cast<size_t>(wanted), classes);
  const auto& names = model.model().class_names;
  output.datatype = std::string(kBytes);
  output.shape.push_back(static_cast<int64_t>(count));
  for (size_t at = 0; at < values.size(); at += classes) {
    const auto scores = values.subspan(at, classes);
    for (const int64_t index : BestClasses(scores, count)) {
      const auto i = static_cast<size_t>(index);
      output.elements.push_back(fmt::format("{:.6f}:{}", scores[i], index));
      if (i < names.size()) output.elements.back() += ":" + names[i];
    }
  }
}

// The runtime's output is its levels as real values; this takes them back.
void Quantize(const ServedModel& model, uint8_t flip, std::span<const float> values,
              OutputTensor& output) {
  const auto [scale, zero_point] = model.output_quantization();
  output.levels.resize(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const float level = std::nearbyint(values[i] / scale) + static_cast<float>(zero_point);
    output.levels[i] = static_cast<uint8_t>(std::clamp(level, 0.0f, 255.0f)) ^ flip;
  }
}

}  // namespace

Status CheckOutput(const RequestedOutput& requested, const std::string& field,
                   const ServedModel& model) {
  if (requested.datatype != kFp32 && requested.datatype != kUint8 && requested.datatype != kInt8) {
    return InvalidField(field + ".parameters.datatype", "is '{}'; allowed are FP32, UINT8 and INT8",
                        requested.datatype);
  }
  if (requested.classes == 0) return {};
  const std::string name = field + ".parameters.classification";
  if (requested.classes < 0) {
    return InvalidField(name, "is {}; allowed are 1 and more", requested.classes);
  }
  if (requested.datatype != kFp32) {
    return InvalidField(name, "cannot be asked for beside the datatype {}", requested.datatype);
  }
  if (model.output_shape().size() != 1) {
    return InvalidField(name, "the output has {} dimensions and is no list of class scores",
                        model.output_shape().size() + 1);
  }
  return {};
}

OutputTensor MakeOutput(const RequestedOutput& requested, const ServedModel& model, int64_t batch,
                        std::vector<float> values) {
  OutputTensor output{.name = requested.name, .datatype = requested.datatype, .shape = {batch}};
  if (requested.classes > 0) {
    Classify(model, requested.classes, values, output);
    return output;
  }
  output.shape.insert(output.shape.end(), model.output_shape().begin(), model.output_shape().end());
  if (requested.datatype == kFp32) {
    output.values = std::move(values);
  } else {
    Quantize(model, requested.datatype == kInt8 ? 0x80 : 0, values, output);
  }
  return output;
}

std::string RawBytes(const OutputTensor& output) {
  std::string bytes;
  const auto append = [&bytes](const void* data, size_t size) {
    bytes.append(static_cast<const char*>(data), size);
  };
  if (output.datatype == kFp32) {
    append(output.values.data(), output.values.size() * sizeof(float));
  } else if (output.datatype == kBytes) {
    for (const std::string& element : output.elements) {
      const auto length = static_cast<uint32_t>(element.size());
      append(&length, sizeof length);
      bytes += element;
    }
  } else {
    append(output.levels.data(), output.levels.size());
  }
  return bytes;
}

}  // namespace haq::server::serving
