// Idempotency: a request that carries the request_id of an earlier one gets what that one made.
#pragma once

#include <google/protobuf/message.h>

#include <optional>
#include <string>

#include "server/api/context.h"

namespace haq::server::api {

// Which request this is: its id and the digest of all the rest.
struct RequestKey {
  std::string request_id;  // "" for requests that want no idempotency
  std::string content_sha256;
};

// `request` has a field "request_id". kInvalidArgument when the id is too long.
Result<RequestKey> MakeRequestKey(const google::protobuf::Message& request, const Limits& limits);

// Name of what the earlier request made; nullopt when this one is new. kInvalidArgument when the
// earlier one had another content.
Result<std::optional<std::string>> FindRepeated(store::Transaction& transaction,
                                                const RequestKey& key);
void Remember(store::Transaction& transaction, const RequestKey& key, const std::string& resource,
              int64_t now_us);

}  // namespace haq::server::api
