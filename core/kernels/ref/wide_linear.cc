// Linear layers of levels of either width. The low and the high bytes of 16-bit levels are two rows
// that one pass over the weights serves.
#include <algorithm>

#include "core/kernels/ref/wide_rows.h"

namespace haq::kernels::wide {
size_t LinearWorkspaceBytes(const LinearShape& s) {
  return static_cast<size_t>(kDotRows) * static_cast<size_t>(s.inputs);
}

void LinearRun(const KernelTable& kernels, const LinearShape& s, const WideChannel* channels,
               const WideOutput& output, const int8_t* weight, int64_t rows, In in, Out out,
               void* workspace, Part part) {
  const int64_t depth = s.inputs, planes = PlanesOf(in), step = kDotRows / planes;
  const Range blocks = PartOf((s.outputs + kDotOutputs - 1) / kDotOutputs, part);
  for (int64_t first = 0; first < rows; first += step) {
    const int64_t count = std::min(step, rows - first);
    const uint8_t* bytes = in.bytes + first * depth;
    if (in.is_wide) {
      auto* split = static_cast<uint8_t*>(workspace);
      for (int64_t row = 0; row < count; ++row) {
        SplitLevels(in, (first + row) * depth, depth, depth, split + 2 * row * depth);
      }
      bytes = split;
    }
    for (int64_t o = blocks.begin * kDotOutputs; o < blocks.end * kDotOutputs; o += kDotOutputs) {
      const int64_t outputs = std::min<int64_t>(kDotOutputs, s.outputs - o);
      alignas(64) int32_t sums[kDotRows * kDotOutputs];
      kernels.dots({bytes, weight + o * depth, depth, count * planes, outputs, sums});
      for (int64_t row = 0; row < count; ++row) {
        const int32_t* low = sums + row * planes * kDotOutputs;
        RequantizeRow(kernels, low, in.is_wide ? low + kDotOutputs : nullptr, outputs, channels + o,
                      output, {}, (first + row) * s.outputs + o, out);
      }
    }
  }
}

}  // namespace haq::kernels::wide
