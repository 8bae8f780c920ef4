// Requantization of many values with the same parameters. For the sources of this folder.
#pragma once

#include "core/kernels/ref/channel_block.h"

namespace haq::kernels::ref {

// `count` accumulators, bias included, in chunks of 16; `shift` of either sign is the same for all,
// so the vectorizer can use one shift count.
class UniformRequantize {
 public:
  UniformRequantize(const ChannelRequantize& channel, const TensorRequantize& tensor)
      : tensor_(tensor), shift_(channel.shift) {
    std::fill(multiplier_, multiplier_ + kLanes, channel.multiplier);
    std::fill(q_max_, q_max_ + kLanes, int16_t{channel.q_max});
  }

  void Lanes(const int32_t* __restrict acc, uint8_t* __restrict out) const {
    int16_t v[kLanes], t[kLanes];
    if (shift_ >= 0) {
      for (int32_t i = 0; i < kLanes; ++i) v[i] = Saturate(acc[i] >> shift_);
    } else {
      for (int32_t i = 0; i < kLanes; ++i) {
        const int32_t x = acc[i] < -32768 ? -32768 : acc[i] > 32768 ? 32768 : acc[i];
        v[i] = Saturate(x * (1 << -shift_));
      }
    }
    ScaleLanes(v, multiplier_, t);
    RoundLanes(t, q_max_, tensor_, out);
  }

  // The first `count` of 16 lanes.
  void Lanes(const int32_t* acc, int64_t count, uint8_t* out) const {
    if (count >= kLanes) return Lanes(acc, out);
    int32_t padded[kLanes] = {};
    uint8_t levels[kLanes];
    std::memcpy(padded, acc, sizeof(int32_t) * count);
    Lanes(padded, levels);
    std::memcpy(out, levels, static_cast<size_t>(count));
  }

 private:
  static int16_t Saturate(int32_t x) {
    x = x < -32768 ? -32768 : x;
    x = x > 32767 ? 32767 : x;
    return static_cast<int16_t>(x);
  }

  TensorRequantize tensor_;
  int32_t shift_;
  int16_t multiplier_[kLanes], q_max_[kLanes];
};

}  // namespace haq::kernels::ref
