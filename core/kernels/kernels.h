// The operators of the integer runtime on plain pointers, and the table through which they are
// called. core/kernels/ref/definition.h defines the bits of every one of them; whatever the table
// holds equals it exactly.
//
// Images are [H, W, C] of uint8, one sample a call. Every sum of products must stay inside int32,
// bias and partial sums included: artifact::Verify proves it from the weights. Outputs never
// overlap inputs, but for a convolution's residual, which may be the output itself. All functions
// are pure and may run in parallel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/status.h"
#include "core/fixedpoint/requantize.h"
#include "core/kernels/tie_break.h"
#include "core/kernels/wide_row.h"

namespace haq::kernels {

using fixedpoint::AddRequantize;
using fixedpoint::ChannelRequantize;
using fixedpoint::ResidualRequantize;
using fixedpoint::TensorRequantize;

// Rows and columns of a sliding window; `pad_top` and `pad_left` rows and columns lie before the
// image, what lies after it follows from the output's size.
struct WindowShape {
  int32_t in_h = 1, in_w = 1, in_c = 1, out_h = 1, out_w = 1, out_c = 1;
  int32_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int32_t pad_top = 0, pad_left = 0;
};

struct ConvShape : WindowShape {
  int32_t groups = 1;
  uint8_t input_zero = 0;  // the level that padding has
  // Bytes from one output pixel to the next where the output is a part of a wider tensor; 0: out_c.
  int32_t out_stride = 0;
  int32_t OutStride() const { return out_stride == 0 ? out_c : out_stride; }
};

// Share `index` of `count` shares of a call's output. All shares together write every output byte
// once; they may run at the same time, each with its own workspace.
struct Part {
  int32_t index = 0, count = 1;
};
struct Range {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};
// The share of `count` things, as equal as can be.
constexpr Range PartOf(int64_t count, Part part) {
  return {count * part.index / part.count, count * (part.index + 1) / part.count};
}

struct LinearShape {
  int32_t inputs = 1, outputs = 1;
};

// As artifact::AvgPool2d: output (i, j) averages rows [row_begin[i], row_end[i]) and columns
// [column_begin[j], column_end[j]).
struct AvgPoolShape {
  int32_t in_h = 1, in_w = 1, channels = 1, out_h = 1, out_w = 1;
  uint8_t input_zero = 0;
  const int32_t *row_begin = nullptr, *row_end = nullptr;        // out_h
  const int32_t *column_begin = nullptr, *column_end = nullptr;  // out_w
  const int32_t* counts = nullptr;  // ascending; nullptr: by_count[0] serves every window
  int32_t counts_size = 0;
  const ChannelRequantize* by_count = nullptr;
};

// Two operands of `rows` rows of `columns` values. Row r of b starts at r * b_row_stride: `columns`
// for operands of the same shape, 0 for one row that serves all.
struct PairShape {
  int64_t rows = 1, columns = 1, b_row_stride = 1;
};

// An image as its source has it, [channels][pixels], and as it is stored, [pixels][channels].
struct PlaneShape {
  int64_t channels = 1, pixels = 1;
};

// A tensor's rank is at most 8; one more dimension holds the bytes of 16-bit elements.
inline constexpr int kMaxRank = 9;
struct Dims {
  int32_t rank = 1;
  int32_t size[kMaxRank] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
};

// A tensor of the output's shape that a convolution adds before its last rounding. It may be the
// output's memory where the output's pixels are consecutive: every level is read before its place
// is written.
struct Residual {
  const uint8_t* levels = nullptr;  // nullptr: none
  ResidualRequantize requantize;
};

// Convolution and linear layers are prepared once: `pack` writes `packed_bytes` bytes, aligned to
// 64, which `run` then reads. `workspace` has `workspace_bytes` bytes, aligned to 64, no content.
struct ConvKernel {
  // weight [O][KH][KW][C / groups]
  size_t (*packed_bytes)(const ConvShape& shape);
  void (*pack)(const ConvShape& shape, const int8_t* weight, const ChannelRequantize* channels,
               void* packed);
  size_t (*workspace_bytes)(const ConvShape& shape);
  void (*run)(const ConvShape& shape, const TensorRequantize& requantize, const Residual& residual,
              const void* packed, const uint8_t* in, uint8_t* out, void* workspace, Part part);
};
// weight [O][I] is read in place by every run: large linear layers live from the memory's
// bandwidth.
struct LinearKernel {
  size_t (*packed_bytes)(const LinearShape& shape);
  void (*pack)(const LinearShape& shape, const ChannelRequantize* channels, void* packed);
  size_t (*workspace_bytes)(const LinearShape& shape);
  // in [rows][I], out [rows][O]
  void (*run)(const LinearShape& shape, const TensorRequantize& requantize, const void* packed,
              const int8_t* weight, int64_t rows, const uint8_t* in, uint8_t* out, void* workspace,
              Part part);
};

// Levels that are the first or the last of their 256.
struct EndCounts {
  int64_t low = 0, high = 0;
  bool operator==(const EndCounts&) const = default;
};

struct KernelTable {
  const char* name;            // as in HAQ_CPU
  ConvKernel conv, depthwise;  // depthwise: groups == in_c == out_c
  LinearKernel linear;
  void (*add)(const PairShape& shape, const AddRequantize& requantize, const uint8_t* a,
              const uint8_t* b, uint8_t* out);
  void (*mul)(const PairShape& shape, uint8_t zero_a, uint8_t zero_b,
              const TensorRequantize& requantize, const ChannelRequantize& channel,
              const uint8_t* a, const uint8_t* b, uint8_t* out);
  void (*table)(int64_t count, const uint8_t table[256], const uint8_t* in, uint8_t* out);
  // `workspace` of max_pool: kernel_h * kernel_w pointers; of avg_pool: `channels` int32.
  void (*max_pool)(const WindowShape& shape, const uint8_t* in, uint8_t* out, void* workspace,
                   Part part);
  void (*avg_pool)(const AvgPoolShape& shape, const TensorRequantize& requantize, const uint8_t* in,
                   uint8_t* out, void* workspace);
  // Per row of `length`: p = (table[q_max - q] * 65535 + sum / 2) / sum.
  void (*softmax)(int64_t rows, int64_t length, const uint32_t table[256], const uint8_t* in,
                  uint16_t* out);
  // One operand of a concatenation: row r of `in` (`in_row` bytes) goes to out + r * out_row.
  void (*copy_rows)(int64_t rows, int64_t in_row, int64_t out_row, const uint8_t* in, uint8_t* out);
  void (*pad)(const Dims& in_dims, const int32_t* before, const int32_t* after, uint8_t value,
              const uint8_t* in, uint8_t* out);
  // Elements start, start + step, ... (`count` of them) of `axis`.
  void (*slice)(const Dims& in_dims, int32_t axis, int32_t start, int32_t step, int32_t count,
                const uint8_t* in, uint8_t* out);
  // Output dimension i is input dimension order[i].
  void (*transpose)(const Dims& in_dims, const int32_t* order, const uint8_t* in, uint8_t* out);
  // Planes of real numbers to stored levels:
  //
  //   q = clamp(round(x / scale + kTieBreak) + zero_point, 0, 255)
  //
  // Division and sum are IEEE 754 binary32, round is to nearest with ties to even, all in the
  // default rounding mode, so the bits are the same everywhere. NaN becomes the zero point,
  // infinities saturate.
  void (*quantize)(const PlaneShape& shape, float scale, int32_t zero_point, const float* real,
                   uint8_t* levels, Part part);
  // How many of `count` levels are 0, and how many are 255.
  EndCounts (*count_ends)(int64_t count, const uint8_t* levels);
  // Of the operators of core/kernels/wide.h.
  void (*wide_row)(const wide::Row& row);
  void (*dots)(const wide::Dots& dots);
};

// Portable C++, on every processor: "scalar".
const KernelTable& ReferenceKernels();
// The tables that this processor can run, the fastest first; the last is ReferenceKernels().
std::span<const KernelTable* const> SupportedKernels();
// The table of that name ("scalar", "avx2", "avx512vnni"); the fastest for "" and "auto".
// kInvalidArgument for any other name, kUnsupported for what this processor lacks; both name
// HAQ_CPU and what is allowed here.
Result<const KernelTable*> FindKernels(std::string_view name);
// FindKernels of the environment variable HAQ_CPU. Decided once, the same for the life of the
// process.
Result<const KernelTable*> ActiveKernels();

}  // namespace haq::kernels
