// The only float arithmetic of the runtime: where values enter and leave.
#pragma once

#include <cstdint>
#include <span>

#include "core/artifact/model.h"
#include "core/kernels/kernels.h"

namespace haq::runtime {

// A part of one sample in the source network's order ([C, H, W] for images) to stored order; see
// KernelTable::quantize for the rounding.
void QuantizeSample(const artifact::Tensor& tensor, const kernels::KernelTable& kernels,
                    const float* real, uint8_t* stored, kernels::Part part);

// One sample in stored order to the source network's: float(q - zero_point) * scale.
void DequantizeSample(const artifact::Tensor& tensor, std::span<const uint8_t> stored,
                      std::span<float> real);

}  // namespace haq::runtime
