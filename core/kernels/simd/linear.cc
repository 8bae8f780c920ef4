#include "core/kernels/simd/linear.h"

#include <algorithm>

#include "core/kernels/simd/channel_block.h"
#include "core/kernels/simd/conv_plan.h"

namespace haq::kernels::simd {

size_t LinearPackedBytes(const LinearShape& s) {
  return sizeof(ChannelBlock) * DivideUp(s.outputs, kLinearOutputs);
}

void LinearPack(const LinearShape& s, const ChannelRequantize* channels, void* packed) {
  auto* block = static_cast<ChannelBlock*>(packed);
  for (int64_t o = 0; o < s.outputs; o += kLinearOutputs) {
    *block++ = MakeChannelBlock(kLinearOutputs, 1, channels + o, s.outputs - o);
  }
}

void LinearRun(void (*kernel)(const LinearCall&), const LinearShape& s,
               const TensorRequantize& requantize, const void* packed, const int8_t* weight,
               int64_t rows, const uint8_t* in, uint8_t* out, Part part) {
  const TensorStore store = MakeTensorStore(requantize, {});
  const auto* channels = static_cast<const ChannelBlock*>(packed);
  const Range blocks = PartOf(DivideUp(s.outputs, kLinearOutputs), part);
  for (int64_t block = blocks.begin; block < blocks.end; ++block) {
    const int64_t o = block * kLinearOutputs;
    const int64_t count = std::min<int64_t>(kLinearOutputs, s.outputs - o);
    for (int64_t row = 0; row < rows; row += kLinearRows) {
      kernel({weight + o * s.inputs, in + row * s.inputs, s.inputs,
              std::min<int64_t>(kLinearRows, rows - row), count, channels + block, &store,
              out + row * s.outputs + o, s.outputs});
    }
  }
}

}  // namespace haq::kernels::simd
