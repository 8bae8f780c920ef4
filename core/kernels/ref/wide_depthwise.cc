// Depthwise convolution of levels of either width: the channels of a pixel are the vector, the
// bytes of 16-bit levels are added up apart. Products of a byte and a weight are exact in 16 bits.
#include <algorithm>

#include "core/kernels/ref/channel_block.h"
#include "core/kernels/ref/wide_rows.h"

namespace haq::kernels::wide {
namespace {

void AddTap(const uint8_t* __restrict in, const int16_t* __restrict w, int64_t count,
            int32_t* __restrict low) {
  for (int64_t c = 0; c < count; ++c) low[c] += static_cast<int16_t>(in[c] * w[c]);
}

void AddWideTap(const uint16_t* __restrict in, const int16_t* __restrict w, int64_t count,
                int32_t* __restrict low, int32_t* __restrict high) {
  for (int64_t c = 0; c < count; ++c) {
    low[c] += static_cast<int16_t>((in[c] & 255) * w[c]);
    high[c] += static_cast<int16_t>((in[c] >> 8) * w[c]);
  }
}

size_t PlaneBytes(const ConvShape& s) { return ref::AlignUp64(sizeof(int32_t) * s.in_c); }

// The sums of one output pixel. `padding`: a pixel of zero points.
void SumPixel(const ConvShape& s, const int16_t* weights, const In& in, const uint16_t* padding,
              int64_t oy, int64_t ox, int32_t* low, int32_t* high) {
  std::fill(low, low + s.in_c, 0);
  std::fill(high, high + s.in_c, 0);
  for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
    const int64_t y = oy * s.stride_h - s.pad_top + ky * s.dilation_h;
    for (int64_t kx = 0; kx < s.kernel_w; ++kx, weights += s.in_c) {
      const int64_t x = ox * s.stride_w - s.pad_left + kx * s.dilation_w;
      const bool inside = y >= 0 && y < s.in_h && x >= 0 && x < s.in_w;
      const int64_t at = (y * s.in_w + x) * s.in_c;
      if (inside && !in.is_wide) {
        AddTap(in.bytes + at, weights, s.in_c, low);
      } else {
        AddWideTap(inside ? in.words() + at : padding, weights, s.in_c, low, high);
      }
    }
  }
}

}  // namespace

size_t DepthwisePackedBytes(const ConvShape& s) {
  return sizeof(int16_t) * s.kernel_h * s.kernel_w * s.in_c;
}

// Weights become [taps][C].
void DepthwisePack(const ConvShape& s, const int8_t* weight, void* packed) {
  auto* to = static_cast<int16_t*>(packed);
  const int64_t taps = int64_t{s.kernel_h} * s.kernel_w;
  for (int64_t c = 0; c < s.in_c; ++c) {
    for (int64_t t = 0; t < taps; ++t) to[t * s.in_c + c] = weight[c * taps + t];
  }
}

size_t DepthwiseWorkspaceBytes(const ConvShape& s) {
  return 2 * PlaneBytes(s) + sizeof(uint16_t) * s.in_c;
}

void DepthwiseRun(const KernelTable& kernels, const ConvShape& s, const WideChannel* channels,
                  const WideOutput& output, const Residual& residual, const void* packed, In in,
                  Out out, void* workspace, Part part) {
  auto* bytes = static_cast<uint8_t*>(workspace);
  auto* low = reinterpret_cast<int32_t*>(bytes);
  auto* high = reinterpret_cast<int32_t*>(bytes + PlaneBytes(s));
  auto* padding = reinterpret_cast<uint16_t*>(bytes + 2 * PlaneBytes(s));
  std::fill(padding, padding + s.in_c, static_cast<uint16_t>(s.input_zero));
  const Range pixels = PartOf(int64_t{s.out_h} * s.out_w, part);
  for (int64_t p = pixels.begin; p < pixels.end; ++p) {
    SumPixel(s, static_cast<const int16_t*>(packed), in, padding, p / s.out_w, p % s.out_w, low,
             high);
    RequantizeRow(kernels, low, in.is_wide ? high : nullptr, s.out_c, channels, output, residual,
                  p * s.out_c, out);
  }
}

}  // namespace haq::kernels::wide
