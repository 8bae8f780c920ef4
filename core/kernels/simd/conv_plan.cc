#include "core/kernels/simd/conv_plan.h"

#include <algorithm>

namespace haq::kernels::simd {
namespace {

// Both fit the second level cache of every processor that has these instructions (1 MiB or, on
// older AVX2 machines, 256 KiB shared with nobody).
constexpr int64_t kStripBytes = 160 << 10;
constexpr int64_t kPassBytes = 384 << 10;
// Images up to this size become one row even where they have to be staged.
constexpr int64_t kStagedRowPixels = 256;

bool WindowStaysInside(const ConvShape& s) {
  const int64_t last_y = int64_t{s.out_h - 1} * s.stride_h + int64_t{s.kernel_h - 1} * s.dilation_h;
  const int64_t last_x = int64_t{s.out_w - 1} * s.stride_w + int64_t{s.kernel_w - 1} * s.dilation_w;
  return s.pad_top == 0 && s.pad_left == 0 && last_y < s.in_h && last_x < s.in_w;
}

}  // namespace

ConvPlan::ConvPlan(const TileIsa& isa, const ConvShape& s) : shape(s), isa_(isa) {
  depth = s.in_c / s.groups;
  outputs = s.out_c / s.groups;
  merged = s.dilation_w == 1;
  segments = merged ? s.kernel_h : int64_t{s.kernel_h} * s.kernel_w;
  segment_values = merged ? s.kernel_w * depth : depth;
  steps = DivideUp(segment_values, isa.step);

  const bool inside = WindowStaysInside(s);
  staged = !inside || isa.value_bytes != 1 || segment_values % isa.step != 0 ||
           (s.groups > 1 && s.kernel_w > 1);
  const bool pointwise = inside && s.kernel_h == 1 && s.kernel_w == 1 && s.stride_h == 1 &&
                         s.stride_w == 1 && s.in_h == s.out_h && s.in_w == s.out_w;
  const int64_t pixels = int64_t{s.out_h} * s.out_w;
  if (pointwise && (!staged || pixels <= kStagedRowPixels)) {
    shape.in_w = shape.out_w = static_cast<int32_t>(pixels);
    shape.in_h = shape.out_h = 1;
  }

  const int64_t block = 2 * isa.lanes;
  blocks = DivideUp(outputs, block);
  blocks_per_pass = std::max<int64_t>(1, kPassBytes / std::max<int64_t>(1, BlockOffset(1)));

  stage_columns =
      int64_t{shape.out_w - 1} * s.stride_w + int64_t{s.kernel_w - 1} * s.dilation_w + 1;
  stage_row = stage_columns * depth;
  const int64_t row_bytes = stage_row * isa.value_bytes * s.stride_h;
  strip_rows = staged ? std::clamp<int64_t>(kStripBytes / row_bytes, 1, shape.out_h) : shape.out_h;
  // The last step of the last pixel reads on: its weights are zero, the bytes must exist.
  stage_bytes = AlignUp64((StageRows(strip_rows) * stage_row + isa.step) * isa.value_bytes);

  const int64_t pixel_values = staged ? depth : s.in_c;
  pixel_stride = pixel_values * s.stride_w * isa.value_bytes;
  row_stride = (staged ? stage_row : int64_t{shape.in_w} * s.in_c) * isa.value_bytes;

  two_rows = 2 * shape.out_w <= isa.max_pixels;
  row_tiles = DivideUp(shape.out_w, isa.max_pixels);
}

int64_t ConvPlan::BlockVectors(int64_t block) const {
  const int64_t rest = outputs - block * 2 * isa_.lanes;
  return isa_.narrow && rest <= isa_.lanes ? 1 : 2;
}

int64_t ConvPlan::BlockOffset(int64_t block) const {
  const int64_t vector = segments * steps * isa_.lanes * isa_.step * isa_.value_bytes;
  const int64_t full = static_cast<int64_t>(sizeof(ChannelBlock)) + 2 * vector;
  const bool ends_narrow = block == blocks && BlockVectors(blocks - 1) == 1;
  return AlignUp64(full) * block - (ends_narrow ? vector / 64 * 64 : 0);
}

int64_t ConvPlan::StageRows(int64_t out_rows) const {
  return (out_rows - 1) * shape.stride_h + int64_t{shape.kernel_h - 1} * shape.dilation_h + 1;
}

int64_t ConvPlan::SegmentOffset(int64_t i) const {
  const int64_t ky = merged ? i : i / shape.kernel_w, kx = merged ? 0 : i % shape.kernel_w;
  const int64_t pixel = pixel_stride / shape.stride_w;
  return ky * shape.dilation_h * row_stride + kx * shape.dilation_w * pixel;
}

}  // namespace haq::kernels::simd
