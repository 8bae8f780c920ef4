#include "server/oip/to_json.h"

#include <google/protobuf/descriptor.h>

namespace haq::server::oip {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using Json = nlohmann::ordered_json;

// `at` < 0: the single value of the field.
Json ValueOf(const Message& message, const FieldDescriptor* field, int at) {
  const Reflection& reflection = *message.GetReflection();
  const auto get = [&](auto single, auto repeated) -> Json {
    return at < 0 ? (reflection.*single)(message, field)
                  : (reflection.*repeated)(message, field, at);
  };
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return get(&Reflection::GetInt32, &Reflection::GetRepeatedInt32);
    case FieldDescriptor::CPPTYPE_INT64:
      return get(&Reflection::GetInt64, &Reflection::GetRepeatedInt64);
    case FieldDescriptor::CPPTYPE_UINT32:
      return get(&Reflection::GetUInt32, &Reflection::GetRepeatedUInt32);
    case FieldDescriptor::CPPTYPE_UINT64:
      return get(&Reflection::GetUInt64, &Reflection::GetRepeatedUInt64);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return get(&Reflection::GetDouble, &Reflection::GetRepeatedDouble);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return get(&Reflection::GetFloat, &Reflection::GetRepeatedFloat);
    case FieldDescriptor::CPPTYPE_BOOL:
      return get(&Reflection::GetBool, &Reflection::GetRepeatedBool);
    case FieldDescriptor::CPPTYPE_STRING:
      return get(&Reflection::GetString, &Reflection::GetRepeatedString);
    case FieldDescriptor::CPPTYPE_ENUM:
      return (at < 0 ? reflection.GetEnum(message, field)
                     : reflection.GetRepeatedEnum(message, field, at))
          ->name();
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ToJson(at < 0 ? reflection.GetMessage(message, field)
                           : reflection.GetRepeatedMessage(message, field, at));
  }
  return nullptr;
}

// The fields of an entry are key and value.
Json MapOf(const Message& message, const FieldDescriptor* field) {
  Json map = Json::object();
  const Reflection& reflection = *message.GetReflection();
  const FieldDescriptor* const key = field->message_type()->map_key();
  const FieldDescriptor* const value = field->message_type()->map_value();
  for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
    const Message& entry = reflection.GetRepeatedMessage(message, field, i);
    map[ValueOf(entry, key, -1).get<std::string>()] = ValueOf(entry, value, -1);
  }
  return map;
}

}  // namespace

nlohmann::ordered_json ToJson(const Message& message) {
  Json json = Json::object();
  const Reflection& reflection = *message.GetReflection();
  const auto& descriptor = *message.GetDescriptor();
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const FieldDescriptor* const field = descriptor.field(i);
    if (field->is_map()) {
      json[field->name()] = MapOf(message, field);
    } else if (field->is_repeated()) {
      Json& list = json[field->name()] = Json::array();
      for (int at = 0; at < reflection.FieldSize(message, field); ++at) {
        list.push_back(ValueOf(message, field, at));
      }
    } else if (!field->has_presence() || reflection.HasField(message, field)) {
      json[field->name()] = ValueOf(message, field, -1);
    }
  }
  return json;
}

}  // namespace haq::server::oip
