// An artifact as an ONNX graph that other runtimes read.
#pragma once

#include <cstdint>
#include <vector>

#include "core/artifact/model.h"
#include "core/base/status.h"

namespace haq::to_onnx {

struct QdqOptions {
  // How finely the result of a convolution is kept that an addition reads. The engine adds it
  // before it is rounded, which 8-bit tensors cannot say; the graph computes it in that many 8-bit
  // parts, each a convolution: 1 is the fastest, 4 the nearest to the engine.
  int sum_parts = 4;
};
inline constexpr int kMaxSumParts = 8;

// A QuantizeLinear / DequantizeLinear graph of opset 13 with the artifact's scales, zero points,
// 8-bit weights per output channel and 32-bit biases: bytes of a ModelProto. One float input
// [N, C, H, W], one float output, both named as in the artifact. 16-bit tensors are left as floats.
// The artifact is verified. kInvalidArgument for options; kUnsupported names the layer.
Result<std::vector<uint8_t>> ExportQdq(const artifact::Model& model,
                                       const QdqOptions& options = {});

}  // namespace haq::to_onnx
