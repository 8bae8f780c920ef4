// Messages as JSON.
#pragma once

#include <google/protobuf/message.h>

#include <nlohmann/json.hpp>

namespace haq::server::oip {

// Members are named as the fields, numbers are numbers (also those of 64 bits, which protobuf's own
// mapping writes as strings), enums are names. Fields that are not set are there too, but for
// messages and oneofs, so that clients find what they look for.
nlohmann::ordered_json ToJson(const google::protobuf::Message& message);

}  // namespace haq::server::oip
