// Convolution of levels of either width with any groups, as convolution.cc does it for 8 bits: a
// 16-bit pixel is gathered into two rows, its low and its high bytes, in the place of two pixels.
#include <algorithm>

#include "core/kernels/ref/channel_block.h"
#include "core/kernels/ref/dot.h"
#include "core/kernels/ref/wide_rows.h"

namespace haq::kernels::wide {

using ref::AlignUp64;
using ref::DivideUp;
using ref::DotTwoByFour;
using ref::kDepthStep;
using ref::kRowTile;

namespace {

constexpr int64_t kStripBytes = 32768;  // of gathered rows: they stay in the first level cache

// The sizes that pack, workspace and run agree on.
struct Plan {
  int64_t depth, padded_depth;  // of one dot product
  int64_t outputs, rows;        // of one group: channels, weight rows stored
  int64_t strip;                // gathered rows, even

  explicit Plan(const ConvShape& s) {
    depth = int64_t{s.kernel_h} * s.kernel_w * (s.in_c / s.groups);
    padded_depth = DivideUp(depth, kDepthStep) * kDepthStep;
    outputs = s.out_c / s.groups;
    rows = DivideUp(outputs, kRowTile) * kRowTile;
    strip = std::clamp<int64_t>(kStripBytes / (2 * padded_depth), 8, 64) & ~int64_t{1};
  }
  size_t StripBytes() const { return AlignUp64(sizeof(int16_t) * strip * padded_depth); }
};

// The window of output pixel (oy, ox) in one group's channels.
void GatherPixel(const ConvShape& s, const Plan& plan, const In& in, int64_t group, int64_t oy,
                 int64_t ox, int16_t* row) {
  const int64_t depth = s.in_c / s.groups;
  for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
    const int64_t y = oy * s.stride_h - s.pad_top + ky * s.dilation_h;
    for (int64_t kx = 0; kx < s.kernel_w; ++kx, row += depth) {
      const int64_t x = ox * s.stride_w - s.pad_left + kx * s.dilation_w;
      if (y >= 0 && y < s.in_h && x >= 0 && x < s.in_w) {
        SplitLevels(in, (y * s.in_w + x) * s.in_c + group * depth, depth, plan.padded_depth, row);
      } else {
        SplitLevel(in, s.input_zero, depth, plan.padded_depth, row);
      }
    }
  }
}

// Four channels of the gathered rows: sums[plane][pixel][channel].
void SumRows(const Plan& plan, const int16_t* weight, const int16_t* strip, int64_t rows,
             int32_t* sums) {
  std::fill(sums, sums + rows * kRowTile, 0);
  for (int64_t row = 0; row < rows; row += 2) {
    DotTwoByFour(strip + row * plan.padded_depth, plan.padded_depth, weight, sums + row * kRowTile,
                 kRowTile);
  }
}

}  // namespace

size_t ConvPackedBytes(const ConvShape& s) {
  const Plan plan(s);
  return sizeof(int16_t) * s.groups * plan.rows * plan.padded_depth;
}

void ConvPack(const ConvShape& s, const int8_t* weight, void* packed) {
  const Plan plan(s);
  auto* row = static_cast<int16_t*>(packed);
  for (int64_t group = 0; group < s.groups; ++group) {
    for (int64_t o = 0; o < plan.rows; ++o, row += plan.padded_depth) {
      std::fill(row, row + plan.padded_depth, int16_t{0});
      if (o >= plan.outputs) continue;
      const int8_t* from = weight + (group * plan.outputs + o) * plan.depth;
      std::copy(from, from + plan.depth, row);
    }
  }
}

size_t ConvWorkspaceBytes(const ConvShape& s) {
  const Plan plan(s);
  return plan.StripBytes() + sizeof(int32_t) * plan.strip * kRowTile;
}

void ConvRun(const ConvShape& s, const WideChannel* channels, const WideOutput& output,
             const Residual& residual, const void* packed, In in, Out out, void* workspace,
             Part part) {
  const Plan plan(s);
  const auto* weights = static_cast<const int16_t*>(packed);
  auto* strip = static_cast<int16_t*>(workspace);
  auto* sums = reinterpret_cast<int32_t*>(static_cast<uint8_t*>(workspace) + plan.StripBytes());
  // The tails of the rows meet zero weights, the row beyond an odd count is dropped.
  std::fill(strip, strip + plan.strip * plan.padded_depth, int16_t{0});
  const Range pixels = PartOf(int64_t{s.out_h} * s.out_w, part);
  const int64_t planes = PlanesOf(in), step = plan.strip / planes;
  for (int64_t first = pixels.begin; first < pixels.end; first += step) {
    const int64_t count = std::min(step, pixels.end - first);
    const int64_t rows = (count * planes + 1) / 2 * 2;
    for (int64_t group = 0; group < s.groups; ++group) {
      for (int64_t p = 0; p < count; ++p) {
        GatherPixel(s, plan, in, group, (first + p) / s.out_w, (first + p) % s.out_w,
                    strip + p * planes * plan.padded_depth);
      }
      for (int64_t o = 0; o < plan.outputs; o += kRowTile) {
        SumRows(plan, weights + (group * plan.rows + o) * plan.padded_depth, strip, rows, sums);
        const int64_t channel = group * plan.outputs + o;
        for (int64_t p = 0; p < count; ++p) {
          const int32_t* low = sums + p * planes * kRowTile;
          RequantizeRow(low, planes == 2 ? low + kRowTile : nullptr,
                        std::min(kRowTile, plan.outputs - o), channels + channel, output, residual,
                        (first + p) * s.out_c + channel, out);
        }
      }
    }
  }
}

}  // namespace haq::kernels::wide
