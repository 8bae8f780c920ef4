#include "core/kernels/ref/definition_wide.h"

#include <algorithm>

namespace haq::kernels::definition {

using fixedpoint::WideLevel;
using fixedpoint::WideResidualTerm;
using fixedpoint::WideTerm;

namespace {

int64_t ConvSum(const wide::ConvShape& s, const int8_t* weight, wide::In in, int64_t oy, int64_t ox,
                int64_t o) {
  const int64_t depth = s.in_c / s.groups;
  const int64_t first_channel = o / (s.out_c / s.groups) * depth;
  int64_t sum = 0;
  for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
    for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
      const int64_t y = oy * s.stride_h - s.pad_top + ky * s.dilation_h;
      const int64_t x = ox * s.stride_w - s.pad_left + kx * s.dilation_w;
      const bool inside = y >= 0 && y < s.in_h && x >= 0 && x < s.in_w;
      for (int64_t c = 0; c < depth; ++c) {
        const int64_t w = weight[((o * s.kernel_h + ky) * s.kernel_w + kx) * depth + c];
        sum += w * (inside ? in.at((y * s.in_w + x) * s.in_c + first_channel + c) : s.input_zero);
      }
    }
  }
  return sum;
}

}  // namespace

void WideConv2d(const wide::ConvShape& s, const int8_t* weight, const wide::WideChannel* channels,
                const wide::WideOutput& output, const wide::Residual& residual, wide::In in,
                wide::Out out) {
  for (int64_t i = 0; i < int64_t{s.out_h} * s.out_w * s.out_c; ++i) {
    const int64_t o = i % s.out_c, x = i / s.out_c % s.out_w, y = i / s.out_c / s.out_w;
    int64_t t = WideTerm(ConvSum(s, weight, in, y, x, o), channels[o]);
    if (residual.levels.bytes != nullptr) {
      t += WideResidualTerm(residual.levels.at(i), residual.requantize);
    }
    out.Set(i, WideLevel(t, channels[o].q_max, output));
  }
}

void WideLinear(const LinearShape& s, const int8_t* weight, const wide::WideChannel* channels,
                const wide::WideOutput& output, int64_t rows, wide::In in, wide::Out out) {
  for (int64_t i = 0; i < rows * s.outputs; ++i) {
    const int64_t row = i / s.outputs, o = i % s.outputs;
    int64_t sum = 0;
    for (int64_t k = 0; k < s.inputs; ++k) {
      sum += int64_t{weight[o * s.inputs + k]} * in.at(row * s.inputs + k);
    }
    out.Set(i, WideLevel(WideTerm(sum, channels[o]), channels[o].q_max, output));
  }
}

void WideAdd(const PairShape& s, const wide::WideAddRequantize& requantize, wide::In a, wide::In b,
             wide::Out out) {
  for (int64_t i = 0; i < s.rows * s.columns; ++i) {
    const int64_t row = i / s.columns, column = i % s.columns;
    const auto x = static_cast<uint16_t>(a.at(i));
    const auto y = static_cast<uint16_t>(b.at(row * s.b_row_stride + column));
    out.Set(i, fixedpoint::WideAddRequantized(x, y, requantize));
  }
}

void WideAvgPool(const wide::AvgPoolShape& s, const wide::WideOutput& output, wide::In in,
                 wide::Out out) {
  for (int64_t i = 0; i < int64_t{s.out_h} * s.out_w * s.channels; ++i) {
    const int64_t c = i % s.channels, ox = i / s.channels % s.out_w, oy = i / s.channels / s.out_w;
    int64_t sum = 0, count = 0;
    for (int64_t y = s.row_begin[oy]; y < s.row_end[oy]; ++y) {
      for (int64_t x = s.column_begin[ox]; x < s.column_end[ox]; ++x) {
        sum += in.at((y * s.in_w + x) * s.channels + c) - s.input_zero;
        ++count;
      }
    }
    int32_t kind = 0;
    while (s.counts != nullptr && s.counts[kind] != count) ++kind;
    const wide::WideChannel& r = s.by_count[kind];
    out.Set(i, WideLevel(WideTerm(sum, r), r.q_max, output));
  }
}

void WideMaxPool(const WindowShape& s, const uint16_t* in, uint16_t* out) {
  for (int64_t i = 0; i < int64_t{s.out_h} * s.out_w * s.in_c; ++i) {
    const int64_t c = i % s.in_c, ox = i / s.in_c % s.out_w, oy = i / s.in_c / s.out_w;
    uint16_t largest = 0;  // of at least one level
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

// Output element by element: the input's where its position is one of the input's.
void WidePad(const Dims& in_dims, const int32_t* before, const int32_t* after, uint16_t value,
             const uint16_t* in, uint16_t* out) {
  int64_t count = 1;
  for (int i = 0; i < in_dims.rank; ++i) count *= in_dims.size[i] + before[i] + after[i];
  for (int64_t flat = 0; flat < count; ++flat) {
    int64_t rest = flat, from = 0, scale = 1;
    bool inside = true;
    for (int i = in_dims.rank - 1; i >= 0; --i) {
      const int64_t size = in_dims.size[i] + before[i] + after[i];
      const int64_t at = rest % size - before[i];
      inside = inside && at >= 0 && at < in_dims.size[i];
      from += at * scale;
      scale *= in_dims.size[i];
      rest /= size;
    }
    out[flat] = inside ? in[from] : value;
  }
}

}  // namespace haq::kernels::definition
