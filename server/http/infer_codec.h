// Bodies of inference over HTTP: JSON, JSON with binary tensors behind it, or raw bytes alone.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "server/http/json_reader.h"
#include "server/http/router.h"
#include "server/serving/request.h"

namespace haq::server::http {

// A request with the memory that serving::Request refers to.
struct Inference {
  serving::Request request;
  std::string id;
  std::vector<bool> binary;  // of request.outputs; of the only output when that is empty
  std::string body;
  InferenceJson json;
};

// A body is decompressed (Content-Encoding) to at most `max_body_bytes`. With the header
// Inference-Header-Content-Length the body is that many bytes of JSON and the binary tensors in the
// order of the inputs; with 0 it is one sample alone: floats, or what Content-Type says
// (image/jpeg, image/png). Failures are kInvalidArgument and name the field, or as Decompress.
Result<std::shared_ptr<Inference>> ParseInference(Request http, uint64_t max_body_bytes);

// Compressed as Accept-Encoding allows, when that is worth it.
Response FormatInference(const serving::Response& response, const Inference& inference,
                         std::string_view accept_encoding);

}  // namespace haq::server::http
