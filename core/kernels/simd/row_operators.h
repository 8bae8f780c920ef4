// Operators on rows of bytes, driven through the row kernels of one instruction set.
#pragma once

#include "core/kernels/kernels.h"
#include "core/kernels/simd/rows.h"

namespace haq::kernels::simd {

struct RowIsa {
  void (*add)(const AddCall& call);
  void (*quantize)(const QuantizeCall& call);
  void (*interleave_three)(int64_t count, const uint8_t* a, const uint8_t* b, const uint8_t* c,
                           uint8_t* out);
  void (*max_pixel)(const MaxCall& call);
  void (*sum_pixels)(const SumCall& call);
  void (*store_sums)(const StoreCall& call);
};

void Add(const RowIsa& isa, const PairShape& shape, const AddRequantize& requantize,
         const uint8_t* a, const uint8_t* b, uint8_t* out);
void MaxPool(const RowIsa& isa, const WindowShape& shape, const uint8_t* in, uint8_t* out,
             void* workspace, Part part);
void AvgPool(const RowIsa& isa, const AvgPoolShape& shape, const TensorRequantize& requantize,
             const uint8_t* in, uint8_t* out, void* workspace);
void Quantize(const RowIsa& isa, const PlaneShape& shape, float scale, int32_t zero_point,
              const float* real, uint8_t* levels, Part part);

}  // namespace haq::kernels::simd
