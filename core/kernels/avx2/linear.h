// For the sources of this folder.
#pragma once

#include "core/kernels/simd/linear_rows.h"

namespace haq::kernels::avx2 {

void LinearTile(const simd::LinearCall& call);

}  // namespace haq::kernels::avx2
