#include <fmt/ranges.h>

#include <exception>
#include <nlohmann/json.hpp>
#include <set>

#include "core/data/preprocess.h"

namespace haq::data {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxJsonBytes = 64 << 10;

template <typename Enum>
struct Named {
  const char* name;
  Enum value;
};
constexpr Named<Interpolation> kInterpolations[] = {{"bilinear", Interpolation::kBilinear},
                                                    {"bicubic", Interpolation::kBicubic},
                                                    {"nearest", Interpolation::kNearest}};
constexpr Named<ColorOrder> kColors[] = {
    {"rgb", ColorOrder::kRgb}, {"bgr", ColorOrder::kBgr}, {"gray", ColorOrder::kGray}};

// What stands there, short enough for a message.
std::string Found(const Json& value) {
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

template <typename Enum, size_t kCount>
Result<Enum> ReadEnum(const char* field, const Json& value, const Named<Enum> (&names)[kCount]) {
  std::vector<std::string> allowed;
  for (const auto& [name, result] : names) {
    if (value.is_string() && value.get_ref<const std::string&>() == name) return result;
    allowed.push_back(fmt::format("\"{}\"", name));
  }
  return InvalidField(field, "must be one of {}, not {}", fmt::join(allowed, ", "), Found(value));
}

template <typename Enum, size_t kCount>
const char* NameOf(Enum value, const Named<Enum> (&names)[kCount]) {
  for (const auto& [name, candidate] : names) {
    if (candidate == value) return name;
  }
  return "";
}

Result<int> ReadSide(const char* field, const Json& value) {
  // Range errors are Validate's; here it only has to fit.
  if (!value.is_number_integer() || value < 0 || value > 1'000'000'000) {
    return InvalidField(field, "must be a whole number of pixels, not {}", Found(value));
  }
  return value.get<int>();
}

Result<std::array<int, 2>> ReadSize(const char* field, const Json& value) {
  if (!value.is_array() || value.size() != 2) {
    return InvalidField(field, "must be [height, width], not {}", Found(value));
  }
  std::array<int, 2> size{};
  for (int i = 0; i < 2; ++i) {
    HAQ_ASSIGN_OR_RETURN(size[i], ReadSide(field, value[i]));
  }
  return size;
}

Result<std::vector<double>> ReadNumbers(const char* field, const Json& value) {
  if (!value.is_array()) {
    return InvalidField(field, "must be a list with a number for each channel, not {}",
                        Found(value));
  }
  std::vector<double> numbers;
  for (const Json& number : value) {
    if (!number.is_number()) {
      return InvalidField(field, "must hold numbers only, not {}", Found(number));
    }
    numbers.push_back(number.get<double>());
  }
  return numbers;
}

Status ReadResize(const Json& resize, Preprocess& result) {
  if (!resize.is_object()) {
    return InvalidField("resize", "must be an object, not {}", Found(resize));
  }
  for (const auto& [key, value] : resize.items()) {
    if (key == "shorter_side") {
      HAQ_ASSIGN_OR_RETURN(result.shorter_side, ReadSide("resize.shorter_side", value));
    } else if (key == "size") {
      HAQ_ASSIGN_OR_RETURN(result.resize_to, ReadSize("resize.size", value));
    } else if (key == "interpolation") {
      HAQ_ASSIGN_OR_RETURN(result.interpolation,
                           ReadEnum("resize.interpolation", value, kInterpolations));
    } else {
      return InvalidField("resize." + key,
                          "unknown key; shorter_side, size and interpolation are allowed");
    }
  }
  if (!result.shorter_side && !result.resize_to) {
    return InvalidField("resize", "needs shorter_side or size");
  }
  return Status::Ok();
}

Status ReadKey(const std::string& key, const Json& value, Preprocess& result) {
  if (key == "resize") return ReadResize(value, result);
  if (key == "center_crop") {
    HAQ_ASSIGN_OR_RETURN(result.center_crop, ReadSize("center_crop", value));
  } else if (key == "color") {
    HAQ_ASSIGN_OR_RETURN(result.color, ReadEnum("color", value, kColors));
  } else if (key == "scale") {
    if (!value.is_number()) return InvalidField("scale", "must be a number, not {}", Found(value));
    result.scale = value.get<double>();
  } else if (key == "mean") {
    HAQ_ASSIGN_OR_RETURN(result.mean, ReadNumbers("mean", value));
  } else if (key == "std") {
    HAQ_ASSIGN_OR_RETURN(result.std, ReadNumbers("std", value));
  } else {
    return InvalidField(key,
                        "unknown key; resize, center_crop, color, scale, mean and std are allowed");
  }
  return Status::Ok();
}

// The parser keeps the last of two equal keys without a word; a file that says two things is wrong.
class DuplicateKeys {
 public:
  bool operator()(int /*depth*/, Json::parse_event_t event, const Json& parsed) {
    if (event == Json::parse_event_t::object_start) open_.emplace_back();
    if (event == Json::parse_event_t::object_end) open_.pop_back();
    if (event == Json::parse_event_t::key) {
      const std::string& key = parsed.get_ref<const std::string&>();
      if (!open_.back().insert(key).second && !duplicate_) duplicate_ = key;
    }
    return true;
  }
  const std::optional<std::string>& duplicate() const { return duplicate_; }

 private:
  std::vector<std::set<std::string>> open_;
  std::optional<std::string> duplicate_;
};

Result<Json> Parse(std::string_view text) {
  if (text.size() > kMaxJsonBytes) {
    return InvalidArgument("preprocessing: {} bytes; at most {} are allowed", text.size(),
                           kMaxJsonBytes);
  }
  DuplicateKeys keys;
  Json json;
  try {
    json = Json::parse(text, std::ref(keys));
  } catch (const std::exception& error) {
    return InvalidArgument("preprocessing: not JSON: {}", error.what());
  }
  if (keys.duplicate()) return InvalidField(*keys.duplicate(), "the key is given twice");
  if (!json.is_object()) {
    return InvalidArgument("preprocessing: must be a JSON object, not {}", Found(json));
  }
  return json;
}

}  // namespace

Result<Preprocess> Preprocess::FromJson(std::string_view text) {
  HAQ_ASSIGN_OR_RETURN(const Json json, Parse(text));
  Preprocess result;
  for (const auto& [key, value] : json.items()) {
    HAQ_RETURN_IF_ERROR(ReadKey(key, value, result));
  }
  if (result.color == ColorOrder::kGray) {
    if (!json.contains("mean")) result.mean = {0};
    if (!json.contains("std")) result.std = {1};
  }
  HAQ_RETURN_IF_ERROR(Validate(result));
  return result;
}

std::string Preprocess::ToJson() const {
  Json json = Json::object();
  if (shorter_side) json["resize"]["shorter_side"] = *shorter_side;
  if (resize_to) json["resize"]["size"] = *resize_to;
  if (json.contains("resize")) {
    json["resize"]["interpolation"] = NameOf(interpolation, kInterpolations);
  }
  if (center_crop) json["center_crop"] = *center_crop;
  json["color"] = NameOf(color, kColors);
  json["scale"] = scale;
  json["mean"] = mean;
  json["std"] = std;
  return json.dump();
}

}  // namespace haq::data
