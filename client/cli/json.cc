#include "client/cli/json.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/time_util.h>

#include <string>

namespace haq::client {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using nlohmann::ordered_json;

ordered_json FromMessage(const Message& message) {
  if (message.GetDescriptor() == google::protobuf::Timestamp::descriptor()) {
    return google::protobuf::util::TimeUtil::ToString(
        static_cast<const google::protobuf::Timestamp&>(message));
  }
  return ToJson(message);
}

ordered_json Single(const Message& message, const Reflection& reflection,
                    const FieldDescriptor* field) {
  if (field->has_presence() && !reflection.HasField(message, field)) return nullptr;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.GetInt32(message, field);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.GetInt64(message, field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.GetUInt32(message, field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.GetUInt64(message, field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.GetDouble(message, field);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection.GetFloat(message, field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.GetEnum(message, field)->name();
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.GetString(message, field);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return FromMessage(reflection.GetMessage(message, field));
  }
  return nullptr;
}

ordered_json Element(const Message& message, const Reflection& reflection,
                     const FieldDescriptor* field, int index) {
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.GetRepeatedInt32(message, field, index);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.GetRepeatedInt64(message, field, index);
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.GetRepeatedUInt32(message, field, index);
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.GetRepeatedUInt64(message, field, index);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.GetRepeatedDouble(message, field, index);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection.GetRepeatedFloat(message, field, index);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetRepeatedBool(message, field, index);
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.GetRepeatedEnum(message, field, index)->name();
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.GetRepeatedString(message, field, index);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return FromMessage(reflection.GetRepeatedMessage(message, field, index));
  }
  return nullptr;
}

// "report_json" -> "report" with the document in it; text that is no JSON keeps its name.
void AddField(ordered_json* json, const std::string& name, ordered_json value) {
  constexpr std::string_view kSuffix = "_json";
  if (name.ends_with(kSuffix) && value.is_string()) {
    const std::string stem = name.substr(0, name.size() - kSuffix.size());
    const auto text = value.get<std::string>();
    ordered_json document = text.empty()
                                ? ordered_json(nullptr)
                                : ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!document.is_discarded()) {
      (*json)[stem] = std::move(document);
      return;
    }
  }
  (*json)[name] = std::move(value);
}

}  // namespace

ordered_json ToJson(const Message& message) {
  const auto* descriptor = message.GetDescriptor();
  const Reflection& reflection = *message.GetReflection();
  ordered_json json = ordered_json::object();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    if (field->is_repeated()) {
      ordered_json list = ordered_json::array();
      for (int k = 0; k < reflection.FieldSize(message, field); ++k) {
        list.push_back(Element(message, reflection, field, k));
      }
      json[field->name()] = std::move(list);
    } else if (field->real_containing_oneof() == nullptr || reflection.HasField(message, field)) {
      AddField(&json, field->name(), Single(message, reflection, field));
    }
  }
  return json;
}

ordered_json ToJson(const Status& status) {
  ordered_json fields = ordered_json::array();
  for (const FieldViolation& violation : status.fields()) {
    fields.push_back({{"field", violation.field}, {"description", violation.description}});
  }
  return {{"error",
           {{"code", StatusCodeName(status.code())},
            {"message", status.message()},
            {"fields", std::move(fields)}}}};
}

}  // namespace haq::client
