#include "core/kernels/simd/row_operators.h"

#include <algorithm>

#include "core/kernels/simd/conv_plan.h"

namespace haq::kernels::simd {
namespace {

// Pixels of the image in window (oy, ox), into `tap`; returns how many.
int64_t FindTaps(const WindowShape& s, const uint8_t* in, int64_t oy, int64_t ox,
                 const uint8_t** tap) {
  int64_t count = 0;
  for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
    const int64_t y = oy * s.stride_h - s.pad_top + ky * s.dilation_h;
    if (y < 0 || y >= s.in_h) continue;
    for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
      const int64_t x = ox * s.stride_w - s.pad_left + kx * s.dilation_w;
      if (x < 0 || x >= s.in_w) continue;
      tap[count++] = in + (y * s.in_w + x) * s.in_c;
    }
  }
  return count;
}

const ChannelRequantize& RequantizeOf(const AvgPoolShape& s, int64_t count) {
  if (s.counts == nullptr) return s.by_count[0];
  return s.by_count[std::lower_bound(s.counts, s.counts + s.counts_size, count) - s.counts];
}

}  // namespace

void Add(const RowIsa& isa, const PairShape& s, const AddRequantize& r, const uint8_t* a,
         const uint8_t* b, uint8_t* out) {
  const bool same_shape = s.b_row_stride == s.columns;
  const int64_t rows = same_shape ? 1 : s.rows;
  AddCall call{same_shape ? s.rows * s.columns : s.columns,
               static_cast<int32_t>(static_cast<uint16_t>(r.multiplier_a) |
                                    static_cast<uint32_t>(r.multiplier_b) << 16),
               r.constant,
               r.shift,
               r.q_min,
               r.q_max,
               a,
               b,
               out};
  for (int64_t row = 0; row < rows; ++row) {
    isa.add(call);
    call.a += s.columns, call.b += s.b_row_stride, call.out += s.columns;
  }
}

void MaxPool(const RowIsa& isa, const WindowShape& s, const uint8_t* in, uint8_t* out,
             void* workspace, Part part) {
  auto* tap = static_cast<const uint8_t**>(workspace);
  const Range rows = PartOf(s.out_h, part);
  out += rows.begin * s.out_w * s.in_c;
  for (int64_t oy = rows.begin; oy < rows.end; ++oy) {
    for (int64_t ox = 0; ox < s.out_w; ++ox, out += s.in_c) {
      isa.max_pixel({s.in_c, FindTaps(s, in, oy, ox, tap), tap, out});
    }
  }
}

void AvgPool(const RowIsa& isa, const AvgPoolShape& s, const TensorRequantize& requantize,
             const uint8_t* in, uint8_t* out, void* workspace) {
  auto* sums = static_cast<int32_t*>(workspace);
  for (int64_t oy = 0; oy < s.out_h; ++oy) {
    for (int64_t ox = 0; ox < s.out_w; ++ox, out += s.channels) {
      const int64_t height = s.row_end[oy] - s.row_begin[oy];
      const int64_t width = s.column_end[ox] - s.column_begin[ox];
      const ChannelRequantize& r = RequantizeOf(s, height * width);
      // Levels are summed raw: the zero points are subtracted once. With the bias first, every
      // partial sum lies between bias - count * zero and the largest sum, inside the layer's
      // certificate.
      std::fill(sums, sums + s.channels,
                static_cast<int32_t>(r.bias - height * width * s.input_zero));
      for (int64_t y = s.row_begin[oy]; y < s.row_end[oy]; ++y) {
        isa.sum_pixels({s.channels, width, s.channels,
                        in + (y * s.in_w + s.column_begin[ox]) * s.channels, sums});
      }
      isa.store_sums({s.channels, r.shift, r.multiplier,
                      static_cast<int16_t>(1 << (15 - requantize.fraction_bits)),
                      requantize.output_offset, requantize.q_min, r.q_max, sums, out});
    }
  }
}

void Quantize(const RowIsa& isa, const PlaneShape& s, float scale, int32_t zero_point,
              const float* real, uint8_t* levels, Part part) {
  const Range pixels = PartOf(s.pixels, part);
  if (s.channels == 1) {
    return isa.quantize(
        {pixels.size(), scale, zero_point, real + pixels.begin, levels + pixels.begin});
  }
  constexpr int64_t kChunk = 512, kPlanes = 3;
  uint8_t planes[kPlanes][kChunk];
  for (int64_t first = pixels.begin; first < pixels.end; first += kChunk) {
    const int64_t count = std::min(kChunk, pixels.end - first);
    for (int64_t c = 0; c < s.channels; ++c) {
      isa.quantize({count, scale, zero_point, real + c * s.pixels + first, planes[c % kPlanes]});
      if (s.channels == kPlanes) continue;
      for (int64_t i = 0; i < count; ++i) {
        levels[(first + i) * s.channels + c] = planes[c % kPlanes][i];
      }
    }
    if (s.channels == kPlanes) {
      isa.interleave_three(count, planes[0], planes[1], planes[2], levels + first * kPlanes);
    }
  }
}

}  // namespace haq::kernels::simd
