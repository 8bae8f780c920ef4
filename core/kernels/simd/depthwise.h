// Depthwise convolution, driven through the row kernel of one instruction set. Rows and columns
// outside of the image are read from one pixel of zero points, so nothing is staged.
#pragma once

#include "core/kernels/kernels.h"
#include "core/kernels/simd/depthwise_row.h"

namespace haq::kernels::simd {

struct DepthwiseIsa {
  int32_t block;          // channels
  int32_t slot_multiple;  // at most 4
  bool columns;           // windows of three rows by columns of four slots
  int64_t slot_bytes;     // packed weights of one slot of a block
  int64_t header_bytes;   // requantization of a block
  void (*pack_header)(const ChannelRequantize* block_channels, void* to);
  // slot_weights[slot * block + c]
  void (*pack_weights)(const int8_t* slot_weights, int64_t slots, void* to);
  void (*row)(const DepthwiseRow& row);
};

size_t DepthwisePackedBytes(const DepthwiseIsa& isa, const ConvShape& shape);
void DepthwisePack(const DepthwiseIsa& isa, const ConvShape& shape, const int8_t* weight,
                   const ChannelRequantize* channels, void* packed);
size_t DepthwiseWorkspaceBytes(const DepthwiseIsa& isa, const ConvShape& shape);
void DepthwiseRun(const DepthwiseIsa& isa, const ConvShape& shape,
                  const TensorRequantize& requantize, const Residual& residual, const void* packed,
                  const uint8_t* in, uint8_t* out, void* workspace, Part part);

}  // namespace haq::kernels::simd
