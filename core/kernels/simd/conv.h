// Convolution with any groups, strides, dilations and padding, driven through the tiles of one
// instruction set. A tile's sums run over stretches of neighbouring input values: all channels of a
// whole kernel row where columns are not dilated. Input rows are read in place where the window
// never leaves the image and stretches are whole steps; otherwise a strip of rows, with its
// padding, is staged in the workspace first, which costs one copy against out_c products a value.
#pragma once

#include "core/kernels/kernels.h"
#include "core/kernels/simd/tile.h"

namespace haq::kernels::simd {

size_t ConvPackedBytes(const TileIsa& isa, const ConvShape& shape);
void ConvPack(const TileIsa& isa, const ConvShape& shape, const int8_t* weight,
              const ChannelRequantize* channels, void* packed);
size_t ConvWorkspaceBytes(const TileIsa& isa, const ConvShape& shape);
void ConvRun(const TileIsa& isa, const ConvShape& shape, const TensorRequantize& requantize,
             const Residual& residual, const void* packed, const uint8_t* in, uint8_t* out,
             void* workspace, Part part);

}  // namespace haq::kernels::simd
