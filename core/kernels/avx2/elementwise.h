// For the sources of this folder.
#pragma once

#include "core/kernels/simd/rows.h"

namespace haq::kernels::avx2 {

void AddRow(const simd::AddCall& call);
void QuantizeRow(const simd::QuantizeCall& call);
// Pixels [a, b, c] from three planes.
void InterleaveThree(int64_t count, const uint8_t* a, const uint8_t* b, const uint8_t* c,
                     uint8_t* out);

void CountEnds(simd::EndsCall& call);

void MaxPixel(const simd::MaxCall& call);
void SumPixels(const simd::SumCall& call);
void StoreSums(const simd::StoreCall& call);

}  // namespace haq::kernels::avx2
