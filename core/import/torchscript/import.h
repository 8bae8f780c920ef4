// TorchScript (scripted or traced) -> verified FP32 graph. LibTorch stays behind this header.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/ir/graph.h"

namespace haq::import {

// `bytes` is a TorchScript archive, `input_shape` one sample [C, H, W] (or any other rank without
// the batch). The graph that comes back is simplified and verified.
//
// kInvalidArgument: not a TorchScript archive, truncated, or its forward does not take one tensor
// of that shape (a wrong `input_shape` is a field violation), or a weight that is NaN or infinite,
// which is named with its place. kUnsupported: operators this importer does not know, or uses of
// them that it cannot import (control flow that depends on data, say); the message names every one
// of them with its places in the model (200 at most), and the list of what is supported.
Result<ir::Graph> ImportTorchScript(std::span<const uint8_t> bytes,
                                    const std::vector<int64_t>& input_shape);

// Names of the TorchScript operators the importer knows ("aten::conv2d", ...), sorted.
std::vector<std::string> SupportedTorchScriptOperators();

}  // namespace haq::import
