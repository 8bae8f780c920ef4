// For the sources of this folder.
#pragma once

#include "core/kernels/wide_row.h"

namespace haq::kernels::avx2 {

inline constexpr int64_t kWideLanes = 4;

// `row.count` is a multiple of kWideLanes.
void WideRow(const wide::Row& row);

}  // namespace haq::kernels::avx2
