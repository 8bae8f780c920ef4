// Convolution with any groups as dot products: strips of output pixels are gathered into rows of
// int16 (kernel_h * kernel_w * C / groups levels each, the zero point where the window leaves the
// image) and multiplied with weights widened to int16 once.
#include "core/kernels/ref/channel_block.h"
#include "core/kernels/ref/portable.h"

namespace haq::kernels::ref {
namespace {

constexpr int64_t kDepthStep = 8;       // int16 lanes of the narrowest vector
constexpr int64_t kRowTile = 4;         // weight rows that one pass over the pixels serves
constexpr int64_t kStripBytes = 32768;  // of gathered rows: they stay in the first level cache

// The sizes that pack, workspace and run agree on.
struct Plan {
  int64_t depth, padded_depth;    // of one dot product
  int64_t outputs, blocks, rows;  // of one group: channels, blocks of 16, weight rows stored
  int64_t strip;                  // pixels, even

  explicit Plan(const ConvShape& s) {
    depth = int64_t{s.kernel_h} * s.kernel_w * (s.in_c / s.groups);
    padded_depth = DivideUp(depth, kDepthStep) * kDepthStep;
    outputs = s.out_c / s.groups;
    blocks = DivideUp(outputs, kLanes);
    rows = DivideUp(outputs, kRowTile) * kRowTile;
    const int64_t pixels = int64_t{s.out_h} * s.out_w;
    strip = std::clamp<int64_t>(kStripBytes / (2 * padded_depth), 8, 64);
    strip = std::min(strip, pixels + pixels % 2) & ~int64_t{1};
  }
  size_t BlocksBytes(const ConvShape& s) const { return sizeof(ChannelBlock) * blocks * s.groups; }
  size_t StripBytes() const { return AlignUp64(sizeof(int16_t) * strip * padded_depth); }
};

// One gathered row: the window of output pixel (oy, ox) in one group's channels.
void GatherRow(const ConvShape& s, const uint8_t* in, int64_t group, int64_t oy, int64_t ox,
               int16_t* row) {
  const int64_t depth = s.in_c / s.groups;
  const uint8_t* channels = in + group * depth;
  const int64_t x0 = ox * s.stride_w - s.pad_left;
  for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
    const int64_t y = oy * s.stride_h - s.pad_top + ky * s.dilation_h;
    const bool inside = y >= 0 && y < s.in_h;
    const uint8_t* line = inside ? channels + y * s.in_w * s.in_c : nullptr;
    if (inside && s.dilation_w == 1 && s.groups == 1 && x0 >= 0 && x0 + s.kernel_w <= s.in_w) {
      Widen(line + x0 * s.in_c, s.kernel_w * depth, row);
      row += s.kernel_w * depth;
      continue;
    }
    for (int64_t kx = 0; kx < s.kernel_w; ++kx, row += depth) {
      const int64_t x = x0 + kx * s.dilation_w;
      if (inside && x >= 0 && x < s.in_w) {
        Widen(line + x * s.in_c, depth, row);
      } else {
        std::fill(row, row + depth, int16_t{s.input_zero});
      }
    }
  }
}

// acc[p][j] += dot(pixel row p, weight row j) for two pixels and four weight rows. The compiler
// turns each sum into multiply-add-pairs. Pairs of products are below 2^16 in magnitude; sums
// stay inside int32 by the layer's certificate.
void DotTwoByFour(const int16_t* __restrict a, int64_t depth, const int16_t* __restrict w,
                  int32_t* __restrict acc) {
  const int16_t* __restrict b = a + depth;
  const int16_t *w0 = w, *w1 = w0 + depth, *w2 = w1 + depth, *w3 = w2 + depth;
  int32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
  const int64_t count = depth & ~(kDepthStep - 1);
  for (int64_t i = 0; i < count; ++i) {
    a0 += a[i] * w0[i], a1 += a[i] * w1[i], a2 += a[i] * w2[i], a3 += a[i] * w3[i];
    b0 += b[i] * w0[i], b1 += b[i] * w1[i], b2 += b[i] * w2[i], b3 += b[i] * w3[i];
  }
  acc[0] += a0, acc[1] += a1, acc[2] += a2, acc[3] += a3;
  acc[kLanes] += b0, acc[kLanes + 1] += b1, acc[kLanes + 2] += b2, acc[kLanes + 3] += b3;
}

// Sixteen channels of `pixels` gathered rows; `acc` has room for one row more than that.
void RunBlock(const Plan& plan, const ChannelBlock& block, const int16_t* weight, int64_t channels,
              const int16_t* strip, int64_t pixels, const TensorRequantize& requantize,
              const Residual& residual, int64_t residual_stride, int32_t* acc, uint8_t* out,
              int64_t out_stride) {
  const int64_t even = pixels + pixels % 2;
  for (int64_t p = 0; p < even; ++p) std::memcpy(acc + p * kLanes, block.bias, sizeof(block.bias));
  for (int64_t row = 0; row < channels; row += kRowTile) {
    for (int64_t p = 0; p < even; p += 2) {
      DotTwoByFour(strip + p * plan.padded_depth, plan.padded_depth,
                   weight + row * plan.padded_depth, acc + p * kLanes + row);
    }
  }
  for (int64_t p = 0; p < pixels; ++p) {
    RequantizeLanes(acc + p * kLanes, channels, block, requantize,
                    At(residual, p * residual_stride), out + p * out_stride);
  }
}

}  // namespace

size_t ConvPackedBytes(const ConvShape& s) {
  const Plan plan(s);
  return plan.BlocksBytes(s) + sizeof(int16_t) * s.groups * plan.rows * plan.padded_depth;
}

void ConvPack(const ConvShape& s, const int8_t* weight, const ChannelRequantize* channels,
              void* packed) {
  const Plan plan(s);
  auto* block = static_cast<ChannelBlock*>(packed);
  auto* row = reinterpret_cast<int16_t*>(static_cast<uint8_t*>(packed) + plan.BlocksBytes(s));
  for (int64_t group = 0; group < s.groups; ++group) {
    const int64_t first = group * plan.outputs;
    for (int64_t i = 0; i < plan.blocks; ++i) {
      *block++ = MakeChannelBlock(channels + first + i * kLanes, plan.outputs - i * kLanes);
    }
    for (int64_t o = 0; o < plan.rows; ++o, row += plan.padded_depth) {
      std::fill(row, row + plan.padded_depth, int16_t{0});
      if (o >= plan.outputs) continue;
      const int8_t* from = weight + (first + o) * plan.depth;
      std::copy(from, from + plan.depth, row);
    }
  }
}

size_t ConvWorkspaceBytes(const ConvShape& s) {
  const Plan plan(s);
  return plan.StripBytes() + sizeof(int32_t) * kLanes * plan.strip;
}

void ConvRun(const ConvShape& s, const TensorRequantize& requantize, const Residual& residual,
             const void* packed, const uint8_t* in, uint8_t* out, void* workspace, Part part) {
  const Plan plan(s);
  const auto* blocks = static_cast<const ChannelBlock*>(packed);
  const auto* weights =
      reinterpret_cast<const int16_t*>(static_cast<const uint8_t*>(packed) + plan.BlocksBytes(s));
  auto* strip = static_cast<int16_t*>(workspace);
  auto* acc = reinterpret_cast<int32_t*>(static_cast<uint8_t*>(workspace) + plan.StripBytes());
  const Range pixels = PartOf(int64_t{s.out_h} * s.out_w, part);
  // The tails of the rows meet zero weights, the row beyond an odd count is dropped.
  std::fill(strip, strip + plan.strip * plan.padded_depth, int16_t{0});
  for (int64_t first = pixels.begin; first < pixels.end; first += plan.strip) {
    const int64_t count = std::min(plan.strip, pixels.end - first);
    for (int64_t group = 0; group < s.groups; ++group) {
      for (int64_t p = 0; p < count; ++p) {
        GatherRow(s, in, group, (first + p) / s.out_w, (first + p) % s.out_w,
                  strip + p * plan.padded_depth);
      }
      const int16_t* group_weights = weights + group * plan.rows * plan.padded_depth;
      for (int64_t i = 0; i < plan.blocks; ++i) {
        const int64_t o = i * kLanes, channel = group * plan.outputs + o;
        RunBlock(plan, blocks[group * plan.blocks + i], group_weights + o * plan.padded_depth,
                 std::min<int64_t>(kLanes, plan.outputs - o), strip, count, requantize,
                 At(residual, first * s.out_c + channel), s.out_c, acc,
                 out + first * s.OutStride() + channel, s.OutStride());
      }
    }
  }
}

}  // namespace haq::kernels::ref
