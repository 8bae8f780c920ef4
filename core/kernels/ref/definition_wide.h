// What the operators of core/kernels/wide.h compute: see definition.h.
#pragma once

#include "core/kernels/wide.h"

namespace haq::kernels::definition {

void WideConv2d(const wide::ConvShape& shape, const int8_t* weight,
                const wide::WideChannel* channels, const wide::WideOutput& output,
                const wide::Residual& residual, wide::In in, wide::Out out);
void WideLinear(const LinearShape& shape, const int8_t* weight, const wide::WideChannel* channels,
                const wide::WideOutput& output, int64_t rows, wide::In in, wide::Out out);
void WideAdd(const PairShape& shape, const wide::WideAddRequantize& requantize, wide::In a,
             wide::In b, wide::Out out);
void WideAvgPool(const wide::AvgPoolShape& shape, const wide::WideOutput& output, wide::In in,
                 wide::Out out);
void WideMaxPool(const WindowShape& shape, const uint16_t* in, uint16_t* out);
void WidePad(const Dims& in_dims, const int32_t* before, const int32_t* after, uint16_t value,
             const uint16_t* in, uint16_t* out);

}  // namespace haq::kernels::definition
