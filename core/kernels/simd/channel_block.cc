#include "core/kernels/simd/channel_block.h"

namespace haq::kernels::simd {

ChannelBlock MakeChannelBlock(int64_t lanes, int64_t vectors, const ChannelRequantize* channels,
                              int64_t count) {
  ChannelBlock block{};
  for (int64_t at = 0; at < vectors * lanes; ++at) {
    const int64_t lane = at % lanes, c = ChannelOf(vectors, at / lanes, lane);
    if (c >= count) continue;
    const ChannelRequantize& r = channels[c];
    block.bias[at] = r.bias;
    block.shift[at] = r.shift > 0 ? r.shift : 0;
    block.left[at] = r.shift < 0 ? -r.shift : 0;
    block.any_left |= r.shift < 0;
    block.q_max[c] = r.q_max;
    if (vectors == 2) {
      block.multiplier[c] = r.multiplier;
    } else {  // two pixels are packed beside each other, four channels at a time
      block.multiplier[lane / 4 * 8 + lane % 4] = r.multiplier;
      block.multiplier[lane / 4 * 8 + 4 + lane % 4] = r.multiplier;
    }
  }
  return block;
}

TensorStore MakeTensorStore(const TensorRequantize& r, const ResidualRequantize& residual) {
  return {static_cast<int16_t>(1 << (15 - r.fraction_bits)), r.output_offset, residual.multiplier,
          residual.zero_point, r.q_min};
}

}  // namespace haq::kernels::simd
