// What a model that was quantized elsewhere says about its tensors and weights.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "core/ir/graph.h"

namespace haq::ir {

struct GivenQuantization {
  // Unsigned 8-bit levels: real = scale * (q - zero_point).
  struct Levels {
    float scale = 1;
    int32_t zero_point = 0;
    bool operator==(const Levels&) const = default;
  };
  std::map<ValueId, Levels> values;
  // By node, for convolutions and linear layers: one scale, or one for each output channel, of
  // symmetric 8-bit weights. The graph's weights are these scales times integers.
  std::map<int, std::vector<float>> weights;
  bool empty() const { return values.empty() && weights.empty(); }
};

}  // namespace haq::ir
