// Depthwise convolution: the channels of a pixel are the vector. Products of a level and a weight
// are within 255 * 127 = 32385, so they are exact in 16 bits.
#include "core/kernels/ref/channel_block.h"
#include "core/kernels/ref/portable.h"

namespace haq::kernels::ref {
namespace {

// The sizes that pack, workspace and run agree on.
struct Plan {
  int64_t channels, blocks, taps;

  explicit Plan(const ConvShape& s)
      : channels(s.in_c),
        blocks(DivideUp(s.in_c, kLanes)),
        taps(int64_t{s.kernel_h} * s.kernel_w) {}
  size_t BlocksBytes() const { return sizeof(ChannelBlock) * blocks; }
  size_t SumsBytes() const { return AlignUp64(sizeof(int32_t) * blocks * kLanes); }
  size_t PaddingBytes() const { return AlignUp64(static_cast<size_t>(channels)); }
};

void AddTap(const uint8_t* __restrict in, const int16_t* __restrict w, int64_t count,
            int32_t* __restrict acc) {
  for (int64_t c = 0; c < count; ++c) acc[c] += static_cast<int16_t>(in[c] * w[c]);
}

// Three taps a pass: a third of the traffic on acc.
void AddThreeTaps(const uint8_t* const* taps, const int16_t* __restrict w, int64_t count,
                  int32_t* __restrict acc) {
  const uint8_t* __restrict x0 = taps[0], * __restrict x1 = taps[1], * __restrict x2 = taps[2];
  const int16_t* __restrict w1 = w + count, * __restrict w2 = w1 + count;
  for (int64_t c = 0; c < count; ++c) {
    int32_t sum = static_cast<int16_t>(x0[c] * w[c]);
    sum += static_cast<int16_t>(x1[c] * w1[c]);
    sum += static_cast<int16_t>(x2[c] * w2[c]);
    acc[c] += sum;
  }
}

// Where the channels under each tap of the window of (oy, ox) are; `padding` outside of the image.
void FindTaps(const ConvShape& s, const uint8_t* in, const uint8_t* padding, int64_t oy, int64_t ox,
              const uint8_t** taps) {
  for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
    const int64_t y = oy * s.stride_h - s.pad_top + ky * s.dilation_h;
    for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
      const int64_t x = ox * s.stride_w - s.pad_left + kx * s.dilation_w;
      const bool inside = y >= 0 && y < s.in_h && x >= 0 && x < s.in_w;
      *taps++ = inside ? in + (y * s.in_w + x) * s.in_c : padding;
    }
  }
}

void AddTaps(const Plan& plan, const uint8_t* const* taps, const int16_t* weights, int32_t* acc) {
  int64_t t = 0;
  for (; t + 3 <= plan.taps; t += 3) {
    AddThreeTaps(taps + t, weights + t * plan.channels, plan.channels, acc);
  }
  for (; t < plan.taps; ++t) {
    AddTap(taps[t], weights + t * plan.channels, plan.channels, acc);
  }
}

}  // namespace

size_t DepthwisePackedBytes(const ConvShape& s) {
  const Plan plan(s);
  return plan.BlocksBytes() + sizeof(int16_t) * plan.taps * plan.channels;
}

// Weights become [taps][C].
void DepthwisePack(const ConvShape& s, const int8_t* weight, const ChannelRequantize* channels,
                   void* packed) {
  const Plan plan(s);
  auto* blocks = static_cast<ChannelBlock*>(packed);
  auto* weights = reinterpret_cast<int16_t*>(static_cast<uint8_t*>(packed) + plan.BlocksBytes());
  for (int64_t i = 0; i < plan.blocks; ++i) {
    blocks[i] = MakeChannelBlock(channels + i * kLanes, plan.channels - i * kLanes);
  }
  for (int64_t c = 0; c < plan.channels; ++c) {
    for (int64_t t = 0; t < plan.taps; ++t) {
      weights[t * plan.channels + c] = weight[c * plan.taps + t];
    }
  }
}

size_t DepthwiseWorkspaceBytes(const ConvShape& s) {
  const Plan plan(s);
  return plan.SumsBytes() + plan.PaddingBytes() + sizeof(const uint8_t*) * plan.taps;
}

void DepthwiseRun(const ConvShape& s, const TensorRequantize& requantize, const Residual& residual,
                  const void* packed, const uint8_t* in, uint8_t* out, void* workspace, Part part) {
  const Plan plan(s);
  const auto* blocks = static_cast<const ChannelBlock*>(packed);
  const auto* weights =
      reinterpret_cast<const int16_t*>(static_cast<const uint8_t*>(packed) + plan.BlocksBytes());
  auto* bytes = static_cast<uint8_t*>(workspace);
  auto* acc = reinterpret_cast<int32_t*>(bytes);
  uint8_t* padding = bytes + plan.SumsBytes();
  auto* taps = reinterpret_cast<const uint8_t**>(padding + plan.PaddingBytes());
  std::fill(padding, padding + plan.channels, s.input_zero);
  const Range rows = PartOf(s.out_h, part);
  for (int64_t oy = rows.begin; oy < rows.end; ++oy) {
    for (int64_t ox = 0; ox < s.out_w; ++ox) {
      const int64_t pixel = oy * s.out_w + ox;
      FindTaps(s, in, padding, oy, ox, taps);
      for (int64_t i = 0; i < plan.blocks; ++i) {
        std::memcpy(acc + i * kLanes, blocks[i].bias, sizeof(blocks[i].bias));
      }
      AddTaps(plan, taps, weights, acc);
      for (int64_t i = 0; i < plan.blocks; ++i) {
        const int64_t c = i * kLanes;
        RequantizeLanes(acc + c, plan.channels - c, blocks[i], requantize,
                        At(residual, pixel * plan.channels + c), out + pixel * s.OutStride() + c);
      }
    }
  }
}

}  // namespace haq::kernels::ref
