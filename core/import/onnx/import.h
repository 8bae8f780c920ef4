// ONNX -> verified FP32 graph. libonnx and protobuf stay behind this header.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/ir/given_quantization.h"
#include "core/ir/graph.h"

namespace haq::import {

// `bytes` is a serialized ModelProto of opset 7 to 17, `input_shape` one sample without the batch,
// which agrees with what the model declares. Any batch that the model declares becomes 1. What
// depends on constants and shapes only is computed here. The graph that comes back is simplified
// and verified; its tensors have the model's names.
//
// A model that was quantized elsewhere (QuantizeLinear and DequantizeLinear) becomes the network of
// real numbers that it stands for, its activations cut to what their levels can say; `given` gets
// the scales and zero points of tensors and weights, and is empty for other models.
//
// kInvalidArgument: not ONNX, damaged, or a graph that contradicts itself or its input's shape (a
// wrong `input_shape` is a field violation). kUnsupported: operators this importer does not know,
// or uses of them that it cannot import; the message names every one of them with its nodes (200 at
// most), and the list of what is supported. kResourceExhausted: more nodes, fields or numbers than
// a network has. Messages name the node. Time and memory are bounded by the size of the file, not
// by the numbers in it.
Result<ir::Graph> ImportOnnx(std::span<const uint8_t> bytes,
                             const std::vector<int64_t>& input_shape,
                             ir::GivenQuantization* given = nullptr);

// Names of the ONNX operators the importer knows ("Conv", ...), sorted.
std::vector<std::string> SupportedOnnxOperators();

}  // namespace haq::import
