// What a client gets of the network's output: real values, quantized levels, or the best classes.
#pragma once

#include "server/serving/request.h"
#include "server/serving/served_model.h"

namespace haq::server::serving {

// kInvalidArgument names what cannot be asked of the model: a datatype, or classes of an output
// that is none of class scores.
Status CheckOutput(const RequestedOutput& requested, const std::string& field,
                   const ServedModel& model);

// `values`: `batch` samples of the output. CheckOutput was OK.
OutputTensor MakeOutput(const RequestedOutput& requested, const ServedModel& model, int64_t batch,
                        std::vector<float> values);

// Its contents as the protocol's raw bytes; see RawContent.
std::string RawBytes(const OutputTensor& output);

}  // namespace haq::server::serving
