#include "client/cli/artifact_text.h"

#include <fmt/format.h>

#include <variant>

#include "client/cli/table.h"
#include "core/base/progress.h"

namespace haq::client {
namespace {

using nlohmann::ordered_json;

ordered_json Document(const std::string& text) {
  ordered_json document = ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  return document.is_discarded() ? ordered_json(text) : document;
}

// Whole-number facts of the metadata in one line, such as method, scheme and weights.
std::string MetadataLines(const ordered_json& metadata) {
  std::string text;
  if (!metadata.is_object()) return text;
  for (const auto& [key, value] : metadata.items()) {
    if (value.is_structured()) continue;
    text += fmt::format("  {:<12} {}\n", key,
                        value.is_string() ? value.get<std::string>() : value.dump());
  }
  return text;
}

}  // namespace

std::string ArtifactText(const artifact::Model& model) {
  uint64_t weight_bytes = 0;
  Table table({{"layer"},
               {"op"},
               {"output"},
               {"scale", Align::kRight},
               {"zero point", Align::kRight},
               {"weights", Align::kRight}});
  for (const artifact::Layer& layer : model.layers) {
    const artifact::Tensor& output = model.tensors[layer.output];
    const uint64_t bytes = artifact::WeightsOf(layer.op).size();
    weight_bytes += bytes;
    table.Add({layer.name, std::string(artifact::OpName(layer.op)), FormatShape(output.shape),
               fmt::format("{:.6g}", output.scale), std::to_string(output.zero_point),
               bytes > 0 ? FormatBytes(bytes) : "-"});
  }
  std::string text = fmt::format("  {:<12} {}\n", "input", FormatShape(model.input_shape));
  text += fmt::format("  {:<12} {}\n", "output", FormatShape(model.tensors[model.output].shape));
  text += fmt::format("  {:<12} {}\n", "preprocess", model.preprocess_json);
  text += fmt::format("  {:<12} {}, {} of weights\n", "layers", model.layers.size(),
                      FormatBytes(weight_bytes));
  if (!model.class_names.empty()) {
    text += fmt::format("  {:<12} {}\n", "classes", model.class_names.size());
  }
  return text + MetadataLines(Document(model.metadata_json)) + table.Text(2);
}

ordered_json ArtifactJson(const artifact::Model& model) {
  auto tensors = ordered_json::array();
  for (const artifact::Tensor& tensor : model.tensors) {
    tensors.push_back({{"name", tensor.name},
                       {"type", tensor.type == artifact::DataType::kUint16 ? "uint16" : "uint8"},
                       {"shape", tensor.shape},
                       {"scale", tensor.scale},
                       {"zero_point", tensor.zero_point}});
  }
  auto layers = ordered_json::array();
  for (const artifact::Layer& layer : model.layers) {
    layers.push_back({{"name", layer.name},
                      {"op", artifact::OpName(layer.op)},
                      {"inputs", layer.inputs},
                      {"output", layer.output},
                      {"acc_min", layer.acc_min},
                      {"acc_max", layer.acc_max},
                      {"weight_bytes", artifact::WeightsOf(layer.op).size()}});
  }
  return {{"input_shape", model.input_shape}, {"input", model.input},
          {"output", model.output},           {"preprocess", Document(model.preprocess_json)},
          {"class_names", model.class_names}, {"metadata", Document(model.metadata_json)},
          {"tensors", std::move(tensors)},    {"layers", std::move(layers)}};
}

}  // namespace haq::client
