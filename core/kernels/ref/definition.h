// What every operator computes, as plain loops over its formula: the law that all kernels are
// tested against, bit for bit. Nothing here is fast.
#pragma once

#include "core/kernels/kernels.h"

namespace haq::kernels::definition {

void Conv2d(const ConvShape& shape, const int8_t* weight, const ChannelRequantize* channels,
            const TensorRequantize& requantize, const Residual& residual, const uint8_t* in,
            uint8_t* out);
void Linear(const LinearShape& shape, const int8_t* weight, const ChannelRequantize* channels,
            const TensorRequantize& requantize, int64_t rows, const uint8_t* in, uint8_t* out);
void Add(const PairShape& shape, const AddRequantize& requantize, const uint8_t* a,
         const uint8_t* b, uint8_t* out);
void Mul(const PairShape& shape, uint8_t zero_a, uint8_t zero_b, const TensorRequantize& requantize,
         const ChannelRequantize& channel, const uint8_t* a, const uint8_t* b, uint8_t* out);
void Table(int64_t count, const uint8_t table[256], const uint8_t* in, uint8_t* out);
void MaxPool(const WindowShape& shape, const uint8_t* in, uint8_t* out);
void AvgPool(const AvgPoolShape& shape, const TensorRequantize& requantize, const uint8_t* in,
             uint8_t* out);
void Softmax(int64_t rows, int64_t length, const uint32_t table[256], const uint8_t* in,
             uint16_t* out);
// Concatenates `count` tensors with the dimensions in_dims[i] along `axis`.
void Concat(int32_t count, const Dims* in_dims, int32_t axis, const uint8_t* const* in,
            uint8_t* out);
void Pad(const Dims& in_dims, const int32_t* before, const int32_t* after, uint8_t value,
         const uint8_t* in, uint8_t* out);
void Slice(const Dims& in_dims, int32_t axis, int32_t start, int32_t step, int32_t count,
           const uint8_t* in, uint8_t* out);
void Transpose(const Dims& in_dims, const int32_t* order, const uint8_t* in, uint8_t* out);
void Quantize(const PlaneShape& shape, float scale, int32_t zero_point, const float* real,
              uint8_t* levels);
EndCounts CountEnds(int64_t count, const uint8_t* levels);

}  // namespace haq::kernels::definition
