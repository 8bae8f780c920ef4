// Wide operators without weights.
#include <algorithm>

#include "core/kernels/ref/wide_rows.h"

namespace haq::kernels::wide {
namespace {

template <typename T>
void AddInto(const T* __restrict in, int64_t count, int64_t* __restrict sums) {
  for (int64_t c = 0; c < count; ++c) sums[c] += in[c];
}

const WideChannel& ChannelOf(const AvgPoolShape& s, int64_t count) {
  if (s.counts == nullptr) return s.by_count[0];
  return s.by_count[std::lower_bound(s.counts, s.counts + s.counts_size, count) - s.counts];
}

// The sums of levels minus the zero point over the window of output (oy, ox).
int64_t SumWindow(const AvgPoolShape& s, const In& in, int64_t oy, int64_t ox, int64_t* sums) {
  const int64_t rows = s.row_end[oy] - s.row_begin[oy];
  const int64_t columns = s.column_end[ox] - s.column_begin[ox];
  std::fill(sums, sums + s.channels, -rows * columns * s.input_zero);
  for (int64_t y = s.row_begin[oy]; y < s.row_end[oy]; ++y) {
    for (int64_t x = s.column_begin[ox]; x < s.column_end[ox]; ++x) {
      const int64_t at = (y * s.in_w + x) * s.channels;
      if (in.is_wide) {
        AddInto(in.words() + at, s.channels, sums);
      } else {
        AddInto(in.bytes + at, s.channels, sums);
      }
    }
  }
  return rows * columns;
}

void MaxInto(const uint16_t* __restrict in, int64_t count, uint16_t* __restrict out) {
  for (int64_t c = 0; c < count; ++c) out[c] = in[c] > out[c] ? in[c] : out[c];
}

}  // namespace

void Add(const PairShape& s, const WideAddRequantize& requantize, In a, In b, Out out) {
  for (int64_t row = 0; row < s.rows; ++row) {
    for (int64_t i = 0; i < s.columns; ++i) {
      const auto x = static_cast<uint16_t>(a.at(row * s.columns + i));
      const auto y = static_cast<uint16_t>(b.at(row * s.b_row_stride + i));
      out.Set(row * s.columns + i, fixedpoint::WideAddRequantized(x, y, requantize));
    }
  }
}

void AvgPool(const AvgPoolShape& s, const WideOutput& output, In in, Out out, void* workspace) {
  auto* sums = static_cast<int64_t*>(workspace);
  for (int64_t oy = 0; oy < s.out_h; ++oy) {
    for (int64_t ox = 0; ox < s.out_w; ++ox) {
      const WideChannel& r = ChannelOf(s, SumWindow(s, in, oy, ox, sums));
      for (int64_t c = 0; c < s.channels; ++c) {
        out.Set((oy * s.out_w + ox) * s.channels + c,
                fixedpoint::WideLevel(fixedpoint::WideTerm(sums[c], r), r.q_max, output));
      }
    }
  }
}

void MaxPool(const WindowShape& s, const uint16_t* in, uint16_t* out) {
  for (int64_t oy = 0; oy < s.out_h; ++oy) {
    for (int64_t ox = 0; ox < s.out_w; ++ox, out += s.in_c) {
      std::fill(out, out + s.in_c, uint16_t{0});
      for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
        for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
          const int64_t y = oy * s.stride_h - s.pad_top + ky * s.dilation_h;
          const int64_t x = ox * s.stride_w - s.pad_left + kx * s.dilation_w;
          if (y < 0 || y >= s.in_h || x < 0 || x >= s.in_w) continue;
          MaxInto(in + (y * s.in_w + x) * s.in_c, s.in_c, out);
        }
      }
    }
  }
}

// Rows of the last dimension are copied into an output full of `value`.
void Pad(const Dims& in_dims, const int32_t* before, const int32_t* after, uint16_t value,
         const uint16_t* in, uint16_t* out) {
  int64_t rows = 1, outputs = 1;
  const int last = in_dims.rank - 1;
  for (int i = 0; i <= last; ++i) {
    if (i < last) rows *= in_dims.size[i];
    outputs *= in_dims.size[i] + before[i] + after[i];
  }
  std::fill(out, out + outputs, value);
  const int64_t in_row = in_dims.size[last], out_row = in_row + before[last] + after[last];
  for (int64_t row = 0; row < rows; ++row) {
    int64_t rest = row, scale = 1, to = 0;
    for (int i = last - 1; i >= 0; --i) {
      to += (rest % in_dims.size[i] + before[i]) * scale;
      rest /= in_dims.size[i];
      scale *= in_dims.size[i] + before[i] + after[i];
    }
    std::copy(in + row * in_row, in + (row + 1) * in_row, out + to * out_row + before[last]);
  }
}

}  // namespace haq::kernels::wide
