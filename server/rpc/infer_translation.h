// Between the messages of inference and what serving takes and gives.
#pragma once

#include <chrono>

#include "core/base/status.h"
#include "inference/inference.pb.h"
#include "server/serving/request.h"

namespace haq::server::rpc {

// `to` refers to the memory of `from`. kInvalidArgument names the field.
Status Translate(const inference::ModelInferRequest& from, serving::Request& to);

// The priority, and the earlier deadline of the call's and that of the parameter `timeout`.
Status SetUrgency(const inference::ModelInferRequest& from,
                  std::chrono::system_clock::time_point call_deadline, serving::Request& to);

// Outputs come back raw when the request was raw, typed otherwise.
void Translate(const serving::Response& from, const inference::ModelInferRequest& request,
               inference::ModelInferResponse& to);

}  // namespace haq::server::rpc
