#include "core/kernels/ref/portable.h"
#include "core/kernels/ref/uniform.h"

namespace haq::kernels::ref {
namespace {

void MaxInto(const uint8_t* __restrict in, int64_t count, uint8_t* __restrict out) {
  for (int64_t c = 0; c < count; ++c) out[c] = in[c] > out[c] ? in[c] : out[c];
}

void AddInto(const uint8_t* __restrict in, int64_t count, int32_t* __restrict sums) {
  for (int64_t c = 0; c < count; ++c) sums[c] += in[c];
}

// The taps of a window that lie in [0, size): [first, last).
struct Taps {
  int64_t first, last;
  Taps(int64_t start, int64_t dilation, int64_t kernel, int64_t size) {
    first = start >= 0 ? 0 : DivideUp(-start, dilation);
    last = start >= size ? 0 : std::min(kernel, DivideUp(size - start, dilation));
  }
};

int32_t KindOf(const AvgPoolShape& s, int64_t count) {
  if (s.counts == nullptr) return 0;
  return static_cast<int32_t>(std::lower_bound(s.counts, s.counts + s.counts_size, count) -
                              s.counts);
}

void AverageWindow(const AvgPoolShape& s, const TensorRequantize& requantize, const uint8_t* in,
                   int64_t oy, int64_t ox, int32_t* sums, uint8_t* out) {
  const int64_t rows = s.row_end[oy] - s.row_begin[oy];
  const int64_t columns = s.column_end[ox] - s.column_begin[ox];
  const ChannelRequantize& r = s.by_count[KindOf(s, rows * columns)];
  // Levels are summed raw: the zero points are subtracted once. With the bias first, every partial
  // sum lies between bias - count * zero and the largest sum, inside the layer's certificate.
  const auto start = static_cast<int32_t>(r.bias - rows * columns * s.input_zero);
  std::fill(sums, sums + s.channels, start);
  for (int64_t y = s.row_begin[oy]; y < s.row_end[oy]; ++y) {
    for (int64_t x = s.column_begin[ox]; x < s.column_end[ox]; ++x) {
      AddInto(in + (y * s.in_w + x) * s.channels, s.channels, sums);
    }
  }
  const UniformRequantize uniform(r, requantize);
  for (int64_t c = 0; c < s.channels; c += kLanes) {
    uniform.Lanes(sums + c, std::min<int64_t>(kLanes, s.channels - c), out + c);
  }
}

}  // namespace

void MaxPool(const WindowShape& s, const uint8_t* in, uint8_t* out, void*, Part part) {
  const Range range = PartOf(s.out_h, part);
  out += range.begin * s.out_w * s.in_c;
  for (int64_t oy = range.begin; oy < range.end; ++oy) {
    const int64_t y0 = oy * s.stride_h - s.pad_top;
    const Taps rows(y0, s.dilation_h, s.kernel_h, s.in_h);
    for (int64_t ox = 0; ox < s.out_w; ++ox, out += s.in_c) {
      const int64_t x0 = ox * s.stride_w - s.pad_left;
      const Taps columns(x0, s.dilation_w, s.kernel_w, s.in_w);
      std::fill(out, out + s.in_c, uint8_t{0});
      for (int64_t ky = rows.first; ky < rows.last; ++ky) {
        for (int64_t kx = columns.first; kx < columns.last; ++kx) {
          const int64_t y = y0 + ky * s.dilation_h, x = x0 + kx * s.dilation_w;
          MaxInto(in + (y * s.in_w + x) * s.in_c, s.in_c, out);
        }
      }
    }
  }
}

void AvgPool(const AvgPoolShape& s, const TensorRequantize& requantize, const uint8_t* in,
             uint8_t* out, void* workspace) {
  auto* sums = static_cast<int32_t*>(workspace);
  for (int64_t oy = 0; oy < s.out_h; ++oy) {
    for (int64_t ox = 0; ox < s.out_w; ++ox, out += s.channels) {
      AverageWindow(s, requantize, in, oy, ox, sums, out);
    }
  }
}

}  // namespace haq::kernels::ref
