// For the sources of this folder.
#pragma once

#include "core/kernels/simd/linear_rows.h"
#include "core/kernels/wide_row.h"

namespace haq::kernels::avx2 {

void LinearTile(const simd::LinearCall& call);
void LinearDots(const wide::Dots& dots);

}  // namespace haq::kernels::avx2
