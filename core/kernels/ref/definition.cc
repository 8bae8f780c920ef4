#include "core/kernels/ref/definition.h"

#include <algorithm>
#include <cmath>

namespace haq::kernels::definition {

using fixedpoint::Requantize;
using fixedpoint::RequantizeWithResidual;

namespace {

// in[y][x][c], or the zero point outside of the image.
int32_t PaddedLevel(const ConvShape& s, const uint8_t* in, int64_t y, int64_t x, int64_t c) {
  if (y < 0 || y >= s.in_h || x < 0 || x >= s.in_w) return s.input_zero;
  return in[(y * s.in_w + x) * s.in_c + c];
}

int32_t ConvSum(const ConvShape& s, const int8_t* weight, const uint8_t* in, int64_t oy, int64_t ox,
                int64_t o) {
  const int64_t depth = s.in_c / s.groups;
  const int64_t first_channel = o / (s.out_c / s.groups) * depth;
  int32_t sum = 0;
  for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
    for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
      const int64_t y = oy * s.stride_h - s.pad_top + ky * s.dilation_h;
      const int64_t x = ox * s.stride_w - s.pad_left + kx * s.dilation_w;
      for (int64_t c = 0; c < depth; ++c) {
        const int32_t w = weight[((o * s.kernel_h + ky) * s.kernel_w + kx) * depth + c];
        sum += w * PaddedLevel(s, in, y, x, first_channel + c);
      }
    }
  }
  return sum;
}

}  // namespace

void Conv2d(const ConvShape& s, const int8_t* weight, const ChannelRequantize* channels,
            const TensorRequantize& requantize, const Residual& residual, const uint8_t* in,
            uint8_t* out) {
  for (int64_t i = 0; i < int64_t{s.out_h} * s.out_w * s.out_c; ++i) {
    const int64_t o = i % s.out_c, x = i / s.out_c % s.out_w, y = i / s.out_c / s.out_w;
    const int32_t acc = channels[o].bias + ConvSum(s, weight, in, y, x, o);
    out[i] = residual.levels == nullptr
                 ? Requantize(acc, channels[o], requantize)
                 : RequantizeWithResidual(acc, residual.levels[i], channels[o], requantize,
                                          residual.requantize);
  }
}

void Linear(const LinearShape& s, const int8_t* weight, const ChannelRequantize* channels,
            const TensorRequantize& requantize, int64_t rows, const uint8_t* in, uint8_t* out) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t o = 0; o < s.outputs; ++o) {
      int32_t acc = channels[o].bias;
      for (int64_t i = 0; i < s.inputs; ++i) {
        acc += int32_t{weight[o * s.inputs + i]} * in[row * s.inputs + i];
      }
      out[row * s.outputs + o] = Requantize(acc, channels[o], requantize);
    }
  }
}

void Add(const PairShape& s, const AddRequantize& requantize, const uint8_t* a, const uint8_t* b,
         uint8_t* out) {
  for (int64_t row = 0; row < s.rows; ++row) {
    for (int64_t i = 0; i < s.columns; ++i) {
      const int64_t at = row * s.columns + i;
      out[at] = fixedpoint::AddRequantized(a[at], b[row * s.b_row_stride + i], requantize);
    }
  }
}

void Mul(const PairShape& s, uint8_t zero_a, uint8_t zero_b, const TensorRequantize& requantize,
         const ChannelRequantize& channel, const uint8_t* a, const uint8_t* b, uint8_t* out) {
  for (int64_t row = 0; row < s.rows; ++row) {
    for (int64_t i = 0; i < s.columns; ++i) {
      const int64_t at = row * s.columns + i;
      const int32_t product = (int32_t{a[at]} - zero_a) * (b[row * s.b_row_stride + i] - zero_b);
      out[at] = Requantize(channel.bias + product, channel, requantize);
    }
  }
}

void Table(int64_t count, const uint8_t table[256], const uint8_t* in, uint8_t* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = table[in[i]];
}

void MaxPool(const WindowShape& s, const uint8_t* in, uint8_t* out) {
  for (int64_t i = 0; i < int64_t{s.out_h} * s.out_w * s.in_c; ++i) {
    const int64_t c = i % s.in_c, ox = i / s.in_c % s.out_w, oy = i / s.in_c / s.out_w;
    uint8_t largest = 0;  // of at least one level
    for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
      for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
        const int64_t y = oy * s.stride_h - s.pad_top + ky * s.dilation_h;
        const int64_t x = ox * s.stride_w - s.pad_left + kx * s.dilation_w;
        if (y < 0 || y >= s.in_h || x < 0 || x >= s.in_w) continue;
        largest = std::max(largest, in[(y * s.in_w + x) * s.in_c + c]);
      }
    }
    out[i] = largest;
  }
}

void AvgPool(const AvgPoolShape& s, const TensorRequantize& requantize, const uint8_t* in,
             uint8_t* out) {
  for (int64_t i = 0; i < int64_t{s.out_h} * s.out_w * s.channels; ++i) {
    const int64_t c = i % s.channels, ox = i / s.channels % s.out_w, oy = i / s.channels / s.out_w;
    int32_t sum = 0, count = 0;
    for (int64_t y = s.row_begin[oy]; y < s.row_end[oy]; ++y) {
      for (int64_t x = s.column_begin[ox]; x < s.column_end[ox]; ++x) {
        sum += in[(y * s.in_w + x) * s.channels + c] - s.input_zero;
        ++count;
      }
    }
    int32_t kind = 0;
    while (s.counts != nullptr && s.counts[kind] != count) ++kind;
    const ChannelRequantize& r = s.by_count[kind];
    out[i] = Requantize(r.bias + sum, r, requantize);
  }
}

void Softmax(int64_t rows, int64_t length, const uint32_t table[256], const uint8_t* in,
             uint16_t* out) {
  for (int64_t row = 0; row < rows; ++row, in += length, out += length) {
    const uint8_t largest = *std::max_element(in, in + length);
    uint64_t sum = 0;
    for (int64_t i = 0; i < length; ++i) sum += table[largest - in[i]];
    for (int64_t i = 0; i < length; ++i) {
      out[i] = static_cast<uint16_t>((uint64_t{table[largest - in[i]]} * 65535 + sum / 2) / sum);
    }
  }
}

EndCounts CountEnds(int64_t count, const uint8_t* levels) {
  EndCounts ends;
  for (int64_t i = 0; i < count; ++i) {
    if (levels[i] == 0) ++ends.low;
    if (levels[i] == 255) ++ends.high;
  }
  return ends;
}

void Quantize(const PlaneShape& s, float scale, int32_t zero_point, const float* real,
              uint8_t* levels) {
  for (int64_t c = 0; c < s.channels; ++c) {
    for (int64_t p = 0; p < s.pixels; ++p) {
      const float steps = real[c * s.pixels + p] / scale + kTieBreak;
      // Beyond every level, so that the integer exists.
      const float near = std::isnan(steps) ? 0.0f : std::clamp(steps, -1024.0f, 1024.0f);
      const int32_t q = static_cast<int32_t>(std::nearbyint(near)) + zero_point;
      levels[p * s.channels + c] = static_cast<uint8_t>(std::clamp(q, 0, 255));
    }
  }
}

}  // namespace haq::kernels::definition
