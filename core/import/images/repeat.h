// Rows and columns repeated: what upsampling by whole factors to the nearest pixel is.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/ir/graph.h"

namespace haq::import {

// Of one repetition, and of the side of the image that it gives.
inline constexpr int64_t kMaxRepeat = 256, kMaxRepeatedSide = 1 << 16;

// Every row and column of `x`, [N, C, H, W] of that shape, `factors` times: copies side by side in
// a dimension of their own. Call is an importer's view of a node (Emit, EmitReshape).
template <typename Call>
Result<ir::ValueId> EmitRepeat(Call& call, ir::ValueId x, ir::Shape shape,
                               const std::array<int64_t, 2>& factors) {
  for (const int i : {3, 2}) {
    const int64_t factor = factors[i - 2];
    if (factor == 1) continue;
    if (factor > kMaxRepeat || shape[i] * factor > kMaxRepeatedSide) {
      return Unsupported("repeats {} of dimension {} {} times; allowed are {} times, {} in all",
                         shape[i], i, factor, kMaxRepeat, kMaxRepeatedSide);
    }
    ir::Shape split = shape;
    split.insert(split.begin() + i + 1, 1);
    const std::string name = i == 2 ? "rows" : "columns";
    HAQ_ASSIGN_OR_RETURN(const ir::ValueId apart, call.EmitReshape(x, split, name + ".apart"));
    HAQ_ASSIGN_OR_RETURN(const ir::ValueId copies,
                         call.Emit(ir::Concat{i + 1}, std::vector<ir::ValueId>(factor, apart), {},
                                   name + ".copies"));
    shape[i] *= factor;
    HAQ_ASSIGN_OR_RETURN(x, call.EmitReshape(copies, shape, name));
  }
  return x;
}

}  // namespace haq::import
