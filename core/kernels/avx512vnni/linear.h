// For the sources of this folder.
#pragma once

#include "core/kernels/simd/linear_rows.h"

namespace haq::kernels::avx512vnni {

void LinearTile(const simd::LinearCall& call);

}  // namespace haq::kernels::avx512vnni
