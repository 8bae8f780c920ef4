#include "core/artifact/clipping.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>

namespace haq::artifact {
namespace {

using nlohmann::json;

constexpr const char* kKey = "clipping";

std::string_view EndsName(const TensorClipping& tensor) {
  if (tensor.low && tensor.high) return "both";
  return tensor.low ? "low" : "high";
}

// More images than anybody runs; keeps the product with a tensor's elements inside int64.
constexpr int64_t kMaxImages = int64_t{1} << 30;

Result<int64_t> CountAt(const json& object, const char* key, int64_t most) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) {
    return DataLoss("metadata: clipping: {} is no whole number", key);
  }
  const auto value = found->is_number_unsigned() && found->get<uint64_t>() > INT64_MAX
                         ? INT64_MAX
                         : found->get<int64_t>();
  if (value < 0 || value > most) {
    return DataLoss("metadata: clipping: {} is {}, a number in [0, {}] is allowed", key, value,
                    most);
  }
  return value;
}

class Reader {
 public:
  explicit Reader(const Model& model) : model_(model) {
    for (size_t i = 0; i < model.tensors.size(); ++i) {
      tensors_.emplace(model.tensors[i].name, static_cast<int32_t>(i));
    }
  }

  Result<Clipping> Read(const json& object) {
    if (!object.is_object()) return DataLoss("metadata: clipping is no object");
    Clipping clipping;
    HAQ_ASSIGN_OR_RETURN(clipping.images, CountAt(object, "images", kMaxImages));
    const auto list = object.find("tensors");
    if (list == object.end() || !list->is_array()) {
      return DataLoss("metadata: clipping: tensors is no list");
    }
    for (const json& element : *list) {
      HAQ_ASSIGN_OR_RETURN(const TensorClipping tensor, ReadTensor(element, clipping.images));
      if (!seen_.insert(tensor.tensor).second) {
        return DataLoss("metadata: clipping: tensor \"{}\" comes twice",
                        model_.tensors[static_cast<size_t>(tensor.tensor)].name);
      }
      clipping.tensors.push_back(tensor);
    }
    return clipping;
  }

 private:
  Result<TensorClipping> ReadTensor(const json& element, int64_t images) const {
    const std::string name = TextAt(element, "name"), ends = TextAt(element, "ends");
    const auto found = tensors_.find(name);
    if (found == tensors_.end() ||
        model_.tensors[static_cast<size_t>(found->second)].type != DataType::kUint8) {
      return DataLoss("metadata: clipping: \"{}\" is no 8-bit tensor of the model", name);
    }
    if (ends != "low" && ends != "high" && ends != "both") {
      return DataLoss("metadata: clipping: ends of \"{}\" are \"{}\", allowed are low, high, both",
                      name, ends);
    }
    TensorClipping tensor{found->second, ends != "high", ends != "low", 0};
    // At most 2^30 elements by the limits of a file.
    const int64_t elements = model_.tensors[static_cast<size_t>(found->second)].ElementCount();
    HAQ_ASSIGN_OR_RETURN(tensor.clipped, CountAt(element, "clipped", images * elements));
    return tensor;
  }

  static std::string TextAt(const json& object, const char* key) {
    if (!object.is_object()) return {};
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
  }

  const Model& model_;
  std::map<std::string, int32_t, std::less<>> tensors_;
  std::set<int32_t> seen_;
};

}  // namespace

void WriteClipping(const Clipping& clipping, Model& model) {
  json tensors = json::array();
  for (const TensorClipping& tensor : clipping.tensors) {
    tensors.push_back({{"name", model.tensors[static_cast<size_t>(tensor.tensor)].name},
                       {"ends", EndsName(tensor)},
                       {"clipped", tensor.clipped}});
  }
  json metadata = model.metadata_json.empty() ? json::object() : json::parse(model.metadata_json);
  metadata[kKey] = {{"images", clipping.images}, {"tensors", std::move(tensors)}};
  model.metadata_json = metadata.dump();
}

Result<Clipping> ReadClipping(const Model& model) {
  const json metadata = json::parse(model.metadata_json, nullptr, /*allow_exceptions=*/false);
  if (!metadata.is_object()) return Clipping{};
  const auto found = metadata.find(kKey);
  if (found == metadata.end()) return Clipping{};
  return Reader(model).Read(*found);
}

}  // namespace haq::artifact
