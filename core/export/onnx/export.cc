#include "core/export/onnx/export.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/version.h"
#include "core/export/onnx/exporter.h"

namespace haq::to_onnx {

namespace {

constexpr int64_t kOpset = 13, kIrVersion = 7;

// In levels; what the engine adds (core/kernels/tie_break.h).
constexpr float kTieBreak = 0x1p-10f;

bool IsIdentity(const std::vector<int64_t>& order) {
  return std::is_sorted(order.begin(), order.end());
}

// Of what calibration saw of the convolutions whose sum an addition reads; none in older artifacts.
std::map<std::string, std::pair<double, double>> SumRanges(const std::string& metadata_json) {
  std::map<std::string, std::pair<double, double>> ranges;
  const auto metadata = nlohmann::json::parse(metadata_json, nullptr, /*allow_exceptions=*/false);
  if (!metadata.is_object() || !metadata.contains("sums")) return ranges;
  for (const auto& sum : metadata["sums"]) {
    const bool good = sum.is_object() && sum.contains("layer") && sum["layer"].is_string() &&
                      sum.contains("range") && sum["range"].is_array() &&
                      sum["range"].size() == 2 && sum["range"][0].is_number() &&
                      sum["range"][1].is_number();
    if (good) ranges[sum["layer"]] = {sum["range"][0], sum["range"][1]};
  }
  return ranges;
}

}  // namespace

Exporter::Exporter(const artifact::Model& model, const QdqOptions& options)
    : model_(model),
      options_(options),
      values_(model.tensors.size()),
      sum_ranges_(SumRanges(model.metadata_json)) {}

std::vector<int64_t> Exporter::Natural(size_t stored_rank) {
  if (stored_rank == 3) return {0, 2, 3, 1};
  std::vector<int64_t> order;
  for (size_t i = 0; i <= stored_rank; ++i) order.push_back(static_cast<int64_t>(i));
  return order;
}

int64_t Exporter::NaturalAxis(const artifact::Tensor& tensor, int32_t axis) {
  return Natural(tensor.shape.size())[axis + 1];
}

Shape Exporter::NaturalShape(const artifact::Tensor& tensor) {
  const std::vector<int64_t> order = Natural(tensor.shape.size());
  Shape shape(order.size(), 1);
  for (size_t i = 1; i < order.size(); ++i) shape[order[i]] = tensor.shape[i - 1];
  return shape;
}

std::string Exporter::ScaleOf(int32_t tensor) {
  std::string& name = scales_[tensor];
  if (name.empty()) {
    name = writer_.Floats(TensorAt(tensor).name + "_scale", {}, {TensorAt(tensor).scale});
  }
  return name;
}

std::string Exporter::ZeroPointOf(int32_t tensor) {
  std::string& name = zero_points_[tensor];
  if (name.empty()) {
    const auto level = static_cast<uint8_t>(TensorAt(tensor).zero_point);
    name = writer_.Bytes(TensorAt(tensor).name + "_zero_point", {}, {&level, 1});
  }
  return name;
}

std::string Exporter::Arrange(const std::string& name, const Shape& shape,
                              const std::vector<int64_t>& from, const std::vector<int64_t>& to,
                              const std::string& hint) {
  std::vector<int64_t> order(from.size());
  for (size_t i = 0; i < from.size(); ++i) order[to[i]] = from[i];
  if (IsIdentity(order)) return name;
  // Dimensions of 1 may go anywhere without an element changing its place.
  std::vector<int64_t> large;
  for (const int64_t dimension : order) {
    if (shape[dimension] != 1) large.push_back(dimension);
  }
  if (!IsIdentity(large)) {
    return writer_.Node("Transpose", {name}, hint, {{"perm", order}});
  }
  std::vector<int64_t> target = {0};  // the batch as it is
  for (size_t i = 1; i < order.size(); ++i) target.push_back(shape[order[i]]);
  return writer_.Node("Reshape", {name, writer_.Int64(hint + "_shape", target)}, hint);
}

std::string Exporter::Real(int32_t tensor, const std::vector<int64_t>& stored) {
  const Value& value = values_[tensor];
  std::string real = value.name;
  if (!value.is_real) {
    real = writer_.Node("DequantizeLinear", {value.name, ScaleOf(tensor), ZeroPointOf(tensor)},
                        TensorAt(tensor).name + "_dequantized");
  }
  return Arrange(real, value.shape, value.stored, stored, TensorAt(tensor).name + "_arranged");
}

// Quantizing does what the ends of 8 bits do; nothing does it for floats, and a ReLU may be just
// that the levels begin at zero.
bool Exporter::Clamps(int32_t tensor, const Levels& levels) const {
  if (IsWide(TensorAt(tensor))) return !levels.high.empty();
  const int32_t last = artifact::LastLevel(TensorAt(tensor).type);
  return levels.low > 0 || std::any_of(levels.high.begin(), levels.high.end(),
                                       [&](int32_t high) { return high < last; });
}

std::string Exporter::ClampReal(int32_t tensor, const std::string& real, const Levels& levels) {
  const artifact::Tensor& t = TensorAt(tensor);
  const auto value = [&](int32_t level) {
    return static_cast<float>(double(t.scale) * (level - t.zero_point));
  };
  const std::string low = writer_.Floats(t.name + "_low", {}, {value(levels.low)});
  const bool one = std::adjacent_find(levels.high.begin(), levels.high.end(),
                                      std::not_equal_to<>()) == levels.high.end();
  if (one) {
    const std::string high = writer_.Floats(t.name + "_high", {}, {value(levels.high.at(0))});
    return writer_.Node("Clip", {real, low, high}, t.name + "_clamped");
  }
  Shape shape(NaturalShape(t).size(), 1);
  shape[1] = static_cast<int64_t>(levels.high.size());
  std::vector<float> highs;
  for (const int32_t level : levels.high) highs.push_back(value(level));
  const std::string above = writer_.Node("Max", {real, low}, t.name + "_above");
  return writer_.Node("Min", {above, writer_.Floats(t.name + "_high", shape, highs)},
                      t.name + "_clamped");
}

std::string Exporter::ClampLevels(int32_t tensor, const std::string& quantized,
                                  const Levels& levels) {
  const artifact::Tensor& t = TensorAt(tensor);
  const std::string scale = ScaleOf(tensor), zero_point = ZeroPointOf(tensor);
  const std::string real =
      writer_.Node("DequantizeLinear", {quantized, scale, zero_point}, t.name + "_unclamped");
  return writer_.Node("QuantizeLinear", {ClampReal(tensor, real, levels), scale, zero_point},
                      t.name + "_quantized");
}

void Exporter::Finish(int32_t tensor, std::string real, const Levels& levels) {
  const artifact::Tensor& t = TensorAt(tensor);
  const bool clamps = Clamps(tensor, levels);
  Value value{std::move(real), IsWide(t), NaturalShape(t), Natural(t.shape.size())};
  if (value.is_real) {
    if (clamps) value.name = ClampReal(tensor, value.name, levels);
  } else {
    value.name = writer_.Node("QuantizeLinear", {value.name, ScaleOf(tensor), ZeroPointOf(tensor)},
                              t.name + (clamps ? "_unclamped_quantized" : "_quantized"));
    if (clamps) value.name = ClampLevels(tensor, value.name, levels);
  }
  values_[tensor] = std::move(value);
}

namespace {

void Describe(const std::string& name, const Shape& shape, ::onnx::ValueInfoProto& info) {
  info.set_name(name);
  auto& type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(::onnx::TensorProto::FLOAT);
  type.mutable_shape()->add_dim()->set_dim_param("N");
  for (size_t i = 1; i < shape.size(); ++i) {
    type.mutable_shape()->add_dim()->set_dim_value(shape[i]);
  }
}

}  // namespace

void Exporter::AddInput() {
  const std::string name = writer_.UniqueName(TensorAt(model_.input).name);
  Describe(name, NaturalShape(TensorAt(model_.input)), *writer_.graph.add_input());
  // Values just between two levels go up, as in the engine: pixels may lie there, all of them.
  const float nudge = TensorAt(model_.input).scale * kTieBreak;
  Finish(model_.input, writer_.Node("Add", {name, writer_.Floats(name + "_tie_break", {}, {nudge})},
                                    name + "_nudged"));
}

void Exporter::AddOutput() {
  const artifact::Tensor& tensor = TensorAt(model_.output);
  std::string real = Real(model_.output);
  const std::string name = writer_.UniqueName(tensor.name);
  if (real == writer_.graph.input(0).name()) {
    writer_.Node("Identity", {real}, name);
  } else {
    writer_.Rename(real, name);
  }
  Describe(name, NaturalShape(tensor), *writer_.graph.add_output());
}

void Exporter::AddMetadata(::onnx::ModelProto& proto) const {
  const auto add = [&](const std::string& key, const std::string& value) {
    auto& entry = *proto.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  };
  add("preprocess_json", model_.preprocess_json);
  if (!model_.class_names.empty()) {
    add("class_names", fmt::format("{}", fmt::join(model_.class_names, "\n")));
  }
}

Status Exporter::Export(const artifact::Layer& layer) {
  return std::visit([&](const auto& op) { return Emit(layer, op); }, layer.op)
      .WithContext(fmt::format("layer \"{}\" ({})", layer.name, artifact::OpName(layer.op)));
}

Result<::onnx::ModelProto> Exporter::Run() {
  AddInput();
  for (const artifact::Layer& layer : model_.layers) HAQ_RETURN_IF_ERROR(Export(layer));
  AddOutput();
  ::onnx::ModelProto proto;
  proto.set_ir_version(kIrVersion);
  proto.set_producer_name("haq");
  proto.set_producer_version(std::string(kVersion));
  proto.add_opset_import()->set_version(kOpset);
  AddMetadata(proto);
  writer_.graph.set_name("haq");
  *proto.mutable_graph() = std::move(writer_.graph);
  return proto;
}

Result<std::vector<uint8_t>> ExportQdq(const artifact::Model& model, const QdqOptions& options) {
  if (options.sum_parts < 1 || options.sum_parts > kMaxSumParts) {
    return InvalidField("sum_parts", "is {}, allowed are 1 to {}", options.sum_parts, kMaxSumParts);
  }
  HAQ_RETURN_IF_ERROR(artifact::Verify(model));
  HAQ_ASSIGN_OR_RETURN(const ::onnx::ModelProto proto, Exporter(model, options).Run());
  const size_t size = proto.ByteSizeLong();
  if (size > (size_t{2000} << 20)) {
    return ResourceExhausted("the graph has {} bytes, ONNX files end at 2 GiB", size);
  }
  std::vector<uint8_t> bytes(size);
  proto.SerializeToArray(bytes.data(), static_cast<int>(size));
  return bytes;
}

}  // namespace haq::to_onnx
