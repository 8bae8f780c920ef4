// The operators between tensors of 8 and 16 bits, for the few activations that are kept wide. One
// portable implementation serves every path, with the requantization and the dot products of its
// `kernels`; core/kernels/ref/definition_wide.h defines the bits.
//
// Levels are uint8 or uint16, the latter aligned to 2. Shapes, packing, workspaces and parts are
// those of core/kernels/kernels.h.
#pragma once

#include "core/fixedpoint/wide.h"
#include "core/kernels/kernels.h"

namespace haq::kernels::wide {

using fixedpoint::WideAddRequantize;
using fixedpoint::WideChannel;
using fixedpoint::WideOutput;

// Levels of either width.
struct In {
  const uint8_t* bytes = nullptr;
  bool is_wide = false;
  const uint16_t* words() const { return reinterpret_cast<const uint16_t*>(bytes); }
  int32_t at(int64_t i) const { return is_wide ? words()[i] : bytes[i]; }
};
struct Out {
  uint8_t* bytes = nullptr;
  bool is_wide = false;
  uint16_t* words() const { return reinterpret_cast<uint16_t*>(bytes); }
  void Set(int64_t i, uint16_t level) const {
    if (is_wide) {
      words()[i] = level;
    } else {
      bytes[i] = static_cast<uint8_t>(level);
    }
  }
};

// A tensor of the output's shape that is added before the last rounding; none where levels.bytes is
// nullptr.
struct Residual {
  In levels;
  fixedpoint::WideResidual requantize;
};

struct ConvShape : WindowShape {
  int32_t groups = 1;
  int32_t input_zero = 0;  // the level that padding has
};

// Every sum of products with 8-bit levels stays inside int32: 16-bit inputs are added up as high
// and low bytes.
size_t ConvPackedBytes(const ConvShape& shape);
void ConvPack(const ConvShape& shape, const int8_t* weight, void* packed);
size_t ConvWorkspaceBytes(const ConvShape& shape);
void ConvRun(const KernelTable& kernels, const ConvShape& shape, const WideChannel* channels,
             const WideOutput& output, const Residual& residual, const void* packed, In in, Out out,
             void* workspace, Part part);

// groups == in_c == out_c
size_t DepthwisePackedBytes(const ConvShape& shape);
void DepthwisePack(const ConvShape& shape, const int8_t* weight, void* packed);
size_t DepthwiseWorkspaceBytes(const ConvShape& shape);
void DepthwiseRun(const KernelTable& kernels, const ConvShape& shape, const WideChannel* channels,
                  const WideOutput& output, const Residual& residual, const void* packed, In in,
                  Out out, void* workspace, Part part);

// in [rows][I], weight [O][I], out [rows][O]
size_t LinearWorkspaceBytes(const LinearShape& shape);
void LinearRun(const KernelTable& kernels, const LinearShape& shape, const WideChannel* channels,
               const WideOutput& output, const int8_t* weight, int64_t rows, In in, Out out,
               void* workspace, Part part);

void Add(const PairShape& shape, const WideAddRequantize& requantize, In a, In b, Out out);

// AvgPoolShape with the zero point and requantization of either width.
struct AvgPoolShape {
  int32_t in_h = 1, in_w = 1, channels = 1, out_h = 1, out_w = 1;
  int32_t input_zero = 0;
  const int32_t *row_begin = nullptr, *row_end = nullptr;        // out_h
  const int32_t *column_begin = nullptr, *column_end = nullptr;  // out_w
  const int32_t* counts = nullptr;  // ascending; nullptr: by_count[0] serves every window
  int32_t counts_size = 0;
  const WideChannel* by_count = nullptr;
};
// `workspace`: `channels` int64.
void AvgPool(const AvgPoolShape& shape, const WideOutput& output, In in, Out out, void* workspace);

void MaxPool(const WindowShape& shape, const uint16_t* in, uint16_t* out);
void Pad(const Dims& in_dims, const int32_t* before, const int32_t* after, uint16_t value,
         const uint16_t* in, uint16_t* out);
// KernelTable::quantize to 16-bit levels.
void Quantize(const PlaneShape& shape, float scale, int32_t zero_point, const float* real,
              uint16_t* levels, Part part);

}  // namespace haq::kernels::wide
