#include "server/api/requests.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <memory>

#include "core/base/sha256.h"

namespace haq::server::api {
namespace {

std::string SerializeDeterministically(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

}  // namespace

Result<RequestKey> MakeRequestKey(const google::protobuf::Message& request, const Limits& limits) {
  const auto* field = request.GetDescriptor()->FindFieldByName("request_id");
  const std::unique_ptr<google::protobuf::Message> content(request.New());
  content->CopyFrom(request);
  RequestKey key;
  key.request_id = request.GetReflection()->GetString(request, field);
  if (static_cast<int64_t>(key.request_id.size()) > limits.max_request_id_bytes) {
    return InvalidField("request_id", "must have at most {} bytes, found {}",
                        limits.max_request_id_bytes, key.request_id.size());
  }
  content->GetReflection()->ClearField(content.get(), field);
  Sha256 hash;
  hash.Update(request.GetDescriptor()->full_name() + "\n");
  hash.Update(SerializeDeterministically(*content));
  key.content_sha256 = ToHex(hash.Finish());
  return key;
}

Result<std::optional<std::string>> FindRepeated(store::Transaction& transaction,
                                                const RequestKey& key) {
  if (key.request_id.empty()) return std::optional<std::string>();
  const auto earlier = transaction.FindRequest(key.request_id);
  if (!earlier) return std::optional<std::string>();
  if (earlier->content_sha256 != key.content_sha256) {
    return InvalidField("request_id", "'{}' was used for another request; choose a new one",
                        key.request_id);
  }
  return std::optional<std::string>(earlier->resource);
}

void Remember(store::Transaction& transaction, const RequestKey& key, const std::string& resource,
              int64_t now_us) {
  if (key.request_id.empty()) return;
  transaction.InsertRequest({key.request_id, key.content_sha256, resource, now_us});
}

}  // namespace haq::server::api
