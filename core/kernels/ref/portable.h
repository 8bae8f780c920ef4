// The portable implementations behind ReferenceKernels(): no intrinsics, written so that a compiler
// vectorizes them for any processor. Signatures and contracts are those of KernelTable.
#pragma once

#include "core/kernels/kernels.h"

namespace haq::kernels::ref {

size_t ConvPackedBytes(const ConvShape& shape);
void ConvPack(const ConvShape& shape, const int8_t* weight, const ChannelRequantize* channels,
              void* packed);
size_t ConvWorkspaceBytes(const ConvShape& shape);
void ConvRun(const ConvShape& shape, const TensorRequantize& requantize, const Residual& residual,
             const void* packed, const uint8_t* in, uint8_t* out, void* workspace, Part part);

size_t DepthwisePackedBytes(const ConvShape& shape);
void DepthwisePack(const ConvShape& shape, const int8_t* weight, const ChannelRequantize* channels,
                   void* packed);
size_t DepthwiseWorkspaceBytes(const ConvShape& shape);
void DepthwiseRun(const ConvShape& shape, const TensorRequantize& requantize,
                  const Residual& residual, const void* packed, const uint8_t* in, uint8_t* out,
                  void* workspace, Part part);

size_t LinearPackedBytes(const LinearShape& shape);
void LinearPack(const LinearShape& shape, const ChannelRequantize* channels, void* packed);
size_t LinearWorkspaceBytes(const LinearShape& shape);
void LinearRun(const LinearShape& shape, const TensorRequantize& requantize, const void* packed,
               const int8_t* weight, int64_t rows, const uint8_t* in, uint8_t* out, void* workspace,
               Part part);

void Add(const PairShape& shape, const AddRequantize& requantize, const uint8_t* a,
         const uint8_t* b, uint8_t* out);
void Mul(const PairShape& shape, uint8_t zero_a, uint8_t zero_b, const TensorRequantize& requantize,
         const ChannelRequantize& channel, const uint8_t* a, const uint8_t* b, uint8_t* out);
void Table(int64_t count, const uint8_t table[256], const uint8_t* in, uint8_t* out);
void Softmax(int64_t rows, int64_t length, const uint32_t table[256], const uint8_t* in,
             uint16_t* out);

void MaxPool(const WindowShape& shape, const uint8_t* in, uint8_t* out, void* workspace, Part part);
void AvgPool(const AvgPoolShape& shape, const TensorRequantize& requantize, const uint8_t* in,
             uint8_t* out, void* workspace);

void CopyRows(int64_t rows, int64_t in_row, int64_t out_row, const uint8_t* in, uint8_t* out);
void Pad(const Dims& in_dims, const int32_t* before, const int32_t* after, uint8_t value,
         const uint8_t* in, uint8_t* out);
void Slice(const Dims& in_dims, int32_t axis, int32_t start, int32_t step, int32_t count,
           const uint8_t* in, uint8_t* out);
void Transpose(const Dims& in_dims, const int32_t* order, const uint8_t* in, uint8_t* out);

void WideRow(const wide::Row& row);
void Dots(const wide::Dots& dots);

void Quantize(const PlaneShape& shape, float scale, int32_t zero_point, const float* real,
              uint8_t* levels, Part part);
EndCounts CountEnds(int64_t count, const uint8_t* levels);

}  // namespace haq::kernels::ref
