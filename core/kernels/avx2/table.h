#pragma once

#include "core/kernels/kernels.h"

namespace haq::kernels {

// For processors with AVX2.
const KernelTable& Avx2Kernels();

}  // namespace haq::kernels
