#pragma once

#include "core/kernels/kernels.h"

namespace haq::kernels {

// For processors with AVX-512 F, BW, VL, DQ and VNNI.
const KernelTable& Avx512VnniKernels();

}  // namespace haq::kernels
