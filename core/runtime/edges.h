// The only float arithmetic of the runtime: where values enter and leave. For the sources of this
// folder.
#pragma once

#include <cstdint>
#include <span>

#include "core/artifact/model.h"

namespace haq::runtime {

// One sample in the source network's order ([C, H, W] for images) to stored order.
//
//   q = clamp(round(x / scale) + zero_point, 0, 255)
//
// The division is IEEE 754 binary32, round is to nearest with ties to even, both in the default
// rounding mode, so the bits are the same everywhere. NaN becomes the zero point, infinities
// saturate.
void QuantizeSample(const artifact::Tensor& tensor, std::span<const float> real,
                    std::span<uint8_t> stored);

// One sample in stored order to the source network's: float(q - zero_point) * scale.
void DequantizeSample(const artifact::Tensor& tensor, std::span<const uint8_t> stored,
                      std::span<float> real);

}  // namespace haq::runtime
