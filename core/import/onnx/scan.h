// A look at an ONNX file before protobuf unpacks it: what it would grow to. Private to this folder.
#pragma once

#include <cstdint>
#include <span>

#include "core/base/status.h"

namespace haq::import::from_onnx {

// What a model may have at most; one that has more is refused with kResourceExhausted.
struct Limits {
  int64_t nodes = 1 << 15;
  int64_t initializers = 1 << 16;
  // Fields of every message in the file: each costs memory when it is unpacked, up to a hundred
  // times what it takes in the file.
  int64_t fields = 1 << 22;
  int64_t name_bytes = 1 << 12;
  int64_t depth = 16;                        // messages inside of messages
  int64_t file_bytes = int64_t{2000} << 20;  // protobuf's own limit is 2 GiB
  int64_t graph_nodes = 1 << 13;             // that the model becomes, and inputs of these
  int64_t graph_inputs = 1 << 15;
  // Of one constant that is computed, and of all constants that are computed or used, each time;
  // the size of the file is added to the one, eight times the size to the other: weights may be
  // prepared in the graph.
  int64_t folded_elements = 1 << 24;
  int64_t computed_elements = 1 << 26;
};

// kInvalidArgument: no message, or nested too deep; kResourceExhausted: over a limit. The message
// names the node where it is about one.
Status ScanModel(std::span<const uint8_t> bytes, const Limits& limits);

}  // namespace haq::import::from_onnx
