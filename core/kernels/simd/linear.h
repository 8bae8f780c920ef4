// Linear layers, driven through the dot products of one instruction set.
#pragma once

#include "core/kernels/kernels.h"
#include "core/kernels/simd/linear_rows.h"

namespace haq::kernels::simd {

size_t LinearPackedBytes(const LinearShape& shape);
void LinearPack(const LinearShape& shape, const ChannelRequantize* channels, void* packed);
void LinearRun(void (*kernel)(const LinearCall&), const LinearShape& shape,
               const TensorRequantize& requantize, const void* packed, const int8_t* weight,
               int64_t rows, const uint8_t* in, uint8_t* out, Part part);

}  // namespace haq::kernels::simd
