// The sizes that pack, workspace and run of simd/conv.h agree on.
#pragma once

#include "core/kernels/kernels.h"
#include "core/kernels/simd/tile.h"

namespace haq::kernels::simd {

constexpr int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t AlignUp64(int64_t bytes) { return (bytes + 63) & ~int64_t{63}; }

struct ConvPlan {
  ConvPlan(const TileIsa& isa, const ConvShape& shape);

  ConvShape shape;         // as given, or with all pixels in one row where that computes the same
  int64_t depth, outputs;  // of one group: input and output channels
  bool merged;             // one stretch is a whole row of the kernel
  int64_t segments, segment_values, steps;  // values of a segment without the last step's rest
  bool staged;

  // Blocks of channels of one group; the last may have one vector alone.
  int64_t blocks;
  int64_t BlockVectors(int64_t block) const;
  int64_t BlockOffset(int64_t block) const;  // bytes into the group
  int64_t GroupBytes() const { return BlockOffset(blocks); }
  // Weights of about kGroupBytes are used on all pixels of a strip before the next.
  int64_t blocks_per_pass;

  // Staged rows. In values but for the last.
  int64_t stage_columns, stage_row;  // pixels and values of one row
  int64_t strip_rows;                // output rows of one strip
  int64_t stage_bytes;
  int64_t StageRows(int64_t out_rows) const;

  // Bytes between pixels and rows of the input as tiles see it.
  int64_t pixel_stride, row_stride;
  int64_t SegmentOffset(int64_t i) const;

  // Tiles of one row: `row_tiles` of at most max_pixels; narrow images have one tile for two rows.
  int64_t row_tiles;
  bool two_rows;

 private:
  const TileIsa& isa_;
};

}  // namespace haq::kernels::simd
