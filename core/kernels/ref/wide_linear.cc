#include <algorithm>

#include "core/kernels/ref/wide_rows.h"

namespace haq::kernels::wide {
namespace {

constexpr int64_t kOutputs = 16;  // that are requantized together

int32_t Dot(const int16_t* __restrict x, const int8_t* __restrict w, int64_t depth) {
  int32_t sum = 0;
  for (int64_t i = 0; i < depth; ++i) sum += x[i] * w[i];
  return sum;
}

}  // namespace

size_t LinearWorkspaceBytes(const LinearShape& s) { return 2 * sizeof(int16_t) * s.inputs; }

void LinearRun(const LinearShape& s, const WideChannel* channels, const WideOutput& output,
               const int8_t* weight, int64_t rows, In in, Out out, void* workspace, Part part) {
  auto* x = static_cast<int16_t*>(workspace);
  const int64_t depth = s.inputs;
  const Range outputs = PartOf(s.outputs, part);
  for (int64_t row = 0; row < rows; ++row) {
    SplitLevels(in, row * depth, depth, depth, x);
    for (int64_t o = outputs.begin; o < outputs.end; o += kOutputs) {
      const int64_t count = std::min(kOutputs, outputs.end - o);
      int32_t low[kOutputs], high[kOutputs];
      for (int64_t i = 0; i < count; ++i) {
        low[i] = Dot(x, weight + (o + i) * depth, depth);
        if (in.is_wide) high[i] = Dot(x + depth, weight + (o + i) * depth, depth);
      }
      RequantizeRow(low, in.is_wide ? high : nullptr, count, channels + o, output, {},
                    row * s.outputs + o, out);
    }
  }
}

}  // namespace haq::kernels::wide
